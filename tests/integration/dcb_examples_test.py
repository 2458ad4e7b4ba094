"""The examples of examples/dcb against the real daemon; what they leave in the log is checked here once more, from outside."""

import collections
import json
import os
import subprocess

import harness
from harness import event_pb2, event_store_pb2

EXAMPLES = ("course_subscriptions", "unique_username", "invoice_number", "opt_in_token", "dynamic_product_price")


class DcbExamplesTest(harness.DaemonTest):
    def example(self, name):
        result = harness.run([harness.BINARIES / "examples" / "dcb" / name, self.daemon.address])
        self.assertNotIn("VIOLATED", result.stdout)
        self.assertEqual((0, ""), (result.returncode, result.stderr), result.stdout)
        self.assertRegex(result.stdout, r"[1-9]\d* checks held, 0 did not\.\n$")
        return result.stdout

    def example_twice(self, name):
        """On an empty store and on one that has a history; returns all events."""
        self.example(name)
        self.example(name)
        return self.events()

    def events(self):
        return [recorded.event for response in self.store.Read(event_store_pb2.ReadRequest())
                for recorded in response.events]

    def tags(self, event, kind):
        return [tag for tag in event.tags if tag.startswith(kind + ":")]

    def test_no_course_is_overbooked_and_no_student_overworked(self):
        capacity, seats, courses = {}, collections.Counter(), collections.Counter()
        for event in self.example_twice("course_subscriptions"):
            [course] = self.tags(event, "course")
            if event.type == "StudentSubscribed":
                [student] = self.tags(event, "student")
                seats[course] += 1
                courses[student] += 1
                self.assertLessEqual(seats[course], capacity[course], course)
                self.assertLessEqual(courses[student], 5, student)
            else:
                capacity[course] = json.loads(event.text)["capacity"]
        self.assertEqual([10, 10], [count for course, count in seats.items() if "piano" in course])
        self.assertEqual([5, 5], [count for student, count in courses.items() if "dee" in student])

    def test_a_name_has_one_holder(self):
        holders = {}
        for event in self.example_twice("unique_username"):
            facts = json.loads(event.text)
            tags = self.tags(event, "username")
            if event.type == "AccountRegistered":
                self.assertIsNone(holders.get(tags[0]))
                holders[tags[0]] = facts["account"]
                continue
            self.assertEqual(facts["account"], holders[tags[0]])
            holders[tags[0]] = None
            if event.type == "UsernameChanged":
                self.assertIsNone(holders.get(tags[1]))
                holders[tags[1]] = facts["account"]
        self.assertEqual(2, sum(tag.startswith("username:neo.") or tag == "username:neo" for tag in holders))

    def test_invoice_numbers_have_no_gap(self):
        numbers = [json.loads(event.text)["number"] for event in self.example_twice("invoice_number")]
        self.assertEqual(list(range(1, 411)), numbers)

    def test_an_address_is_confirmed_once_by_a_code_that_was_sent_to_it(self):
        sent, confirmed = set(), set()
        for event in self.example_twice("opt_in_token"):
            [address], [code] = self.tags(event, "email"), self.tags(event, "otp")
            if event.type == "SignUpInitiated":
                sent.add((address, code))
            else:
                self.assertIn((address, code), sent)
                self.assertNotIn(address, confirmed)
                confirmed.add(address)
        self.assertEqual(2 * 15, len(confirmed))

    def test_an_order_is_taken_at_valid_prices(self):
        prices, orders = collections.defaultdict(list), 0
        for event in self.example_twice("dynamic_product_price"):
            at, facts, tags = event.occurred_at.seconds, json.loads(event.text), self.tags(event, "product")
            if event.type != "ProductsOrdered":
                prices[tags[0]].append((at, facts["price"]))
                continue
            orders += 1
            for tag, item in zip(tags, facts["items"], strict=True):
                until = [start for start, _ in prices[tag][1:]] + [at]
                valid = {price for (_, price), end in zip(prices[tag], until) if at - end <= 600}
                self.assertIn(item["price"], valid, f"{tag} at {at}")
        self.assertEqual(2 * (6 + 80), orders)

    def test_numbers_have_no_gap_though_the_daemon_is_killed(self):
        program = subprocess.Popen([harness.BINARIES / "examples" / "dcb" / "invoice_number", self.daemon.address],
                                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        self.addCleanup(program.kill)
        kills = 0
        for count in (10, 50, 90, 130, 170):
            harness.wait_until(lambda: program.poll() is not None or self.head() >= count, "invoices")
            kills += program.poll() is None
            self.channel.close()
            self.daemon.kill()
            os.unlink(self.daemon.log.name)
            self.daemon = harness.Daemon(self.data, port=self.daemon.port)
            self.connect()
        output, _ = program.communicate(timeout=harness.PATIENCE_SECONDS)
        self.assertEqual(0, program.returncode, output)
        self.assertGreater(kills, 0, "the program had ended before the first kill")
        self.assertEqual(list(range(1, 206)), [json.loads(event.text)["number"] for event in self.events()])

    def test_a_violated_invariant_is_told_by_the_exit_code(self):
        """Each example on a store whose first event contradicts it: the tags are those that it will use."""
        for name, event in {
                "course_subscriptions": event_pb2.Event(type="StudentSubscribed", tags=["course:piano.1"],
                                                        text='{"student":"x","course":"piano"}'),
                "unique_username": event_pb2.Event(type="AccountRegistered", tags=["username:ada.1"],
                                                   text='{"account":"9","username":"ada"}'),
                "invoice_number": event_pb2.Event(type="InvoiceCreated", text='{"number":7,"customer":"x"}'),
                "opt_in_token": event_pb2.Event(type="SignUpConfirmed", tags=["email:eve@example.org.1"],
                                                text='{"code":"0"}'),
                "dynamic_product_price": event_pb2.Event(type="ProductDefined", tags=["product:desk.1"],
                                                         text='{"product":"desk","price":1}')}.items():
            with self.subTest(name):
                self.doCleanups()
                self.setUp()
                self.store.Append(event_store_pb2.AppendRequest(
                    writes=[event_store_pb2.Write(stream="before", events=[event])]))
                result = harness.run([harness.BINARIES / "examples" / "dcb" / name, self.daemon.address])
                self.assertEqual(1, result.returncode, result.stdout + result.stderr)
                self.assertIn("VIOLATED", result.stdout)

    def test_usage(self):
        for name in EXAMPLES:
            self.assertEqual(64, harness.run([harness.BINARIES / "examples" / "dcb" / name]).returncode)


if __name__ == "__main__":
    harness.main()
