"""AppendMany from Python: pipelined requests on open streams, answers in their order."""

import queue
import threading

import harness
from harness import event_pb2, event_store_pb2, grpc


def request(stream, event_type="T", id="", text="x", **expectation):
    event = event_pb2.Event(id=id, type=event_type, text=text)
    return event_store_pb2.AppendRequest(
        writes=[event_store_pb2.Write(stream=stream, events=[event], **expectation)])


class Many:
    """An open stream: requests go when they are given, outcomes are taken one by one."""

    def __init__(self, store):
        self._requests = queue.SimpleQueue()
        self.call = store.AppendMany(iter(self._requests.get, None), timeout=harness.PATIENCE_SECONDS)
        self._outcomes = (outcome for response in self.call for outcome in response.outcomes)

    def give(self, *requests):
        for given in requests:
            self._requests.put(given)

    def close(self):
        self._requests.put(None)

    def take(self):
        return next(self._outcomes)

    def rest(self):
        return list(self._outcomes)


class AppendManyTest(harness.DaemonTest):
    def outcomes(self, requests):
        """One call that sends everything and hears everything."""
        responses = self.store.AppendMany(iter(requests), timeout=harness.PATIENCE_SECONDS)
        return [outcome for response in responses for outcome in response.outcomes]

    def position(self, outcome):
        self.assertEqual("appended", outcome.WhichOneof("outcome"), outcome)
        return outcome.appended.results[0].first_position

    def test_answers_come_in_order_and_share_messages(self):
        responses = list(self.store.AppendMany(iter([request("s", f"T{n}") for n in range(2000)])))
        outcomes = [outcome for response in responses for outcome in response.outcomes]
        self.assertEqual(list(range(1, 2001)), [self.position(outcome) for outcome in outcomes])
        self.assertLess(len(responses), 1000)
        self.assertEqual([f"T{n}" for n in range(2000)], [event[3] for event in self.read(stream="s")])


if __name__ == "__main__":
    harness.main()
