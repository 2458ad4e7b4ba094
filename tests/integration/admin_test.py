"""Care of a running store: its figures, and a new index while it serves."""

import os
import threading
import time

import harness
from harness import admin_pb2, event_pb2, event_store_pb2, grpc


class StatsTest(harness.DaemonTest):
    def test_figures_follow_what_happens_and_begin_anew_with_the_daemon(self):
        before = self.stats()
        self.assertEqual((0, 0), (before.head, before.events_appended_count))
        self.append("order-1", "A", "B", "C")
        self.read()
        stats = self.stats()
        self.assertEqual((3, 3, 3), (stats.head, stats.events_appended_count, stats.events_read_count))
        self.assertEqual((0, 0, 3), (stats.indexed_position, stats.index_runs_count, stats.index_tail_events_count))
        self.assertLess(abs(time.time() - stats.started_at.seconds), harness.PATIENCE_SECONDS)
        self.restart()
        again = self.stats()
        self.assertEqual((stats.store_id, stats.version, 3), (again.store_id, again.version, again.head))
        self.assertEqual((0, 0, 3),
                         (again.events_appended_count, again.events_read_count, again.index_tail_events_count))
        self.assertGreater(again.started_at.ToNanoseconds(), stats.started_at.ToNanoseconds())


class ReindexTest(harness.DaemonTest):
    REQUEST_EVENTS = 1000

    def fill(self, requests):
        """Appends; event number n of all is of stream n % 50, type n % 7 and has tag n % 11."""
        for _ in range(requests):
            first = self.head()
            writes = {}
            for number in range(first, first + self.REQUEST_EVENTS):
                event = event_pb2.Event(type=f"T{number % 7}", tags=[f"tag:{number % 11}"], text="x")
                writes.setdefault(number % 50, []).append(event)
            self.store.Append(event_store_pb2.AppendRequest(
                writes=[event_store_pb2.Write(stream=f"s-{key}", events=events) for key, events in writes.items()]),
                              timeout=harness.PATIENCE_SECONDS)

    def reindex(self):
        return self.admin.Reindex(admin_pb2.ReindexRequest(), timeout=harness.PATIENCE_SECONDS)

    def matching(self, **clause):
        return self.read(filter=event_pb2.Filter(any_of=[event_pb2.Clause(**clause)]))

    def expect_right(self):
        """What the index answers is what a scan of everything finds."""
        everything = [event for response in self.store.Read(event_store_pb2.ReadRequest())
                      for event in response.events]
        self.assertEqual(list(range(1, len(everything) + 1)), [event.position for event in everything])
        for clause, matches in (({"tags": ["tag:3"]}, lambda event: "tag:3" in event.event.tags),
                                ({"types": ["T5"], "streams": ["s-7"]},
                                 lambda event: event.event.type == "T5" and event.stream == "s-7"),
                                ({"types": ["Live"]}, lambda event: event.event.type == "Live")):
            self.assertEqual([event.position for event in everything if matches(event)],
                             [event[0] for event in self.matching(**clause)])
        stream = [event.revision for event in everything if event.stream == "s-7"]
        self.assertEqual(stream, [event[2] for event in self.read(stream="s-7")])
        self.assertFalse(os.path.exists(os.path.join(self.data, "index.new")))

    def test_reads_appends_and_subscriptions_go_on_under_it(self):
        self.fill(60)
        ended = threading.Event()
        appended = []
        failures = []

        def work():
            try:
                while not ended.is_set():
                    number = len(appended)
                    response = self.append(f"live-{number}", "Live")
                    appended.append(response.results[0].last_position)
                    # Read your own write, by the index.
                    found = self.matching(types=["Live"], streams=[f"live-{number}"])
                    if [event[0] for event in found] != appended[-1:]:
                        failures.append((number, found))
                    if len(self.matching(types=["T5"], streams=["s-7"])) < 1:
                        failures.append(number)
            except grpc.RpcError as error:
                failures.append(error)

        # More of the subscription than flow control takes while nobody looks would only stop the subscription.
        heard = []
        subscription = self.store.Subscribe(event_store_pb2.SubscribeRequest(
            end={}, filter=event_pb2.Filter(any_of=[event_pb2.Clause(types=["Live"])])))

        def listen():
            try:
                for response in subscription:
                    heard.extend(event.position for event in response.events)
            except grpc.RpcError as error:
                if error.code() != grpc.StatusCode.CANCELLED:
                    failures.append(error)

        threads = [threading.Thread(target=work), threading.Thread(target=listen)]
        self.addCleanup(subscription.cancel)
        self.addCleanup(ended.set)
        for thread in threads:
            thread.start()
        harness.wait_until(lambda: len(heard) >= 3 or failures, "the first live events")
        for _ in range(3):
            before = len(appended)
            progress = list(self.reindex())
            self.assertGreaterEqual(progress[-1].position, 60 * self.REQUEST_EVENTS)
            self.assertEqual(progress[-1].head, progress[-1].position)
            positions = [response.position for response in progress]
            self.assertEqual(sorted(positions), positions)
            harness.wait_until(lambda count=before: len(appended) > count or failures, "an append")
        ended.set()
        threads[0].join()
        first = heard[0]
        live = [position for position in appended if position >= first]
        harness.wait_until(lambda: len(heard) >= len(live) or failures, "all live events")
        subscription.cancel()
        threads[1].join()
        self.assertEqual([], failures)
        self.assertEqual(live, heard)
        self.expect_right()
        self.restart()
        self.expect_right()

    def test_a_daemon_that_is_killed_in_the_middle_starts_with_the_old_index(self):
        self.fill(120)
        for _ in range(3):
            call = self.reindex()
            self.assertEqual(0, next(call).position)
            self.append("live-1", "Live")
            self.restart(kill=True)
            self.assertNotIn("begun anew", self.daemon.log_text())
            self.expect_right()
        self.assertEqual(self.head(), list(self.reindex())[-1].position)
        self.restart(kill=True)
        self.assertNotIn("begun anew", self.daemon.log_text())
        self.expect_right()

    def test_one_at_a_time_and_a_cancelled_one_is_given_up(self):
        self.fill(120)
        call = self.reindex()
        next(call)
        self.assert_refused(grpc.StatusCode.ABORTED, "OPERATION_RUNNING", self.reindex)
        call.cancel()
        harness.wait_until(lambda: "the rebuild of the index is given up" in self.daemon.log_text(), "the end of it")
        self.expect_right()
        self.assertEqual(self.head(), list(self.reindex())[-1].position)
        self.expect_right()

    def test_a_daemon_that_stops_ends_it(self):
        self.fill(120)
        call = self.reindex()
        next(call)
        self.assertEqual(0, self.daemon.stop())
        self.assert_refused(grpc.StatusCode.UNAVAILABLE, None, lambda: call)
        self.restart()
        self.expect_right()


class IdWindowTest(harness.DaemonTest):
    FLAGS = ("--id-index=window:3",)

    def append_with_id(self, number):
        """Returns (replayed, position)."""
        event = event_pb2.Event(id=f"01890a5d-ac96-774b-bcce-{number:012d}", type="A")
        response = self.store.Append(event_store_pb2.AppendRequest(
            writes=[event_store_pb2.Write(stream="s", events=[event])]), timeout=harness.PATIENCE_SECONDS)
        return response.replayed, response.results[0].last_position

    def test_a_retry_is_recognised_inside_of_the_window_and_new_outside_of_it(self):
        self.assertEqual((False, 1), self.append_with_id(1))
        for kill in (False, True):
            self.assertEqual((True, 1), self.append_with_id(1))
            self.append("other", "B")
            self.restart(kill=kill)
        self.assertEqual((True, 1), self.append_with_id(1))  # two events after it
        self.append("other", "B")
        self.assertEqual((False, 5), self.append_with_id(1))
        self.assertEqual((True, 5), self.append_with_id(1))
        self.restart()
        self.assertEqual((True, 5), self.append_with_id(1))

    def test_the_option_is_documented(self):
        text = harness.run([harness.DAYBOOKD, "--help"]).stdout
        self.assertIn("--id-index", text)
        self.assertIn("window:N", text)


if __name__ == "__main__":
    harness.main()
