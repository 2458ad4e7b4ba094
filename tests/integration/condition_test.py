"""Dynamic consistency boundaries, by the worked examples of the DCB specification (dcb.events)."""

import concurrent.futures

import harness
from harness import event_pb2, event_store_pb2, grpc


def clause(*types, tags=()):
    return event_pb2.Clause(types=types, tags=tags)


class ConditionTest(harness.DaemonTest):
    def append_if(self, event, *clauses, after=0, stream="events"):
        condition = event_store_pb2.Condition(none_match=event_pb2.Filter(any_of=clauses), after=after)
        return self.store.Append(event_store_pb2.AppendRequest(
            writes=[event_store_pb2.Write(stream=stream, events=[event])], condition=condition))

    def decide_on(self, *clauses):
        """The events that a decision stands on, and the head that it was read at."""
        events = []
        head = 0
        request = event_store_pb2.ReadRequest(filter=event_pb2.Filter(any_of=clauses))
        for response in self.store.Read(request):
            events += response.events
            head = response.head
        return events, head

    def assert_condition_fails(self, position, call):
        _, details = self.assert_refused(grpc.StatusCode.ABORTED, "CONDITION_FAILED", call)
        conflicts = event_store_pb2.AppendConflicts.FromString(details["daybook.v1.AppendConflicts"])
        self.assertEqual(position, conflicts.condition.position)

    def test_a_username_is_claimed_once_by_many(self):
        def claim(number):
            event = event_pb2.Event(type="AccountRegistered", tags=["username:ada"], text=str(number))
            try:
                self.append_if(event, clause(tags=["username:ada"]), stream=f"account-{number}")
                return True
            except grpc.RpcError as error:
                self.assertEqual(grpc.StatusCode.ABORTED, error.code())
                return False

        with concurrent.futures.ThreadPoolExecutor(16) as pool:
            self.assertEqual(1, sum(pool.map(claim, range(64))))
        self.assertEqual(1, self.head())

    def test_a_course_is_never_overbooked(self):
        capacity = 5
        boundary = [clause("StudentSubscribed", tags=["course:c1"]), clause("CourseDefined", tags=["course:c1"])]
        self.append("course-c1", "CourseDefined")

        def subscribe(student):
            while True:
                events, head = self.decide_on(*boundary)
                if sum(event.event.type == "StudentSubscribed" for event in events) >= capacity:
                    return False
                try:
                    self.append_if(event_pb2.Event(type="StudentSubscribed", tags=["course:c1", f"student:{student}"]),
                                   *boundary, after=head, stream=f"student-{student}")
                    return True
                except grpc.RpcError as error:
                    self.assertEqual(grpc.StatusCode.ABORTED, error.code())

        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            self.assertEqual(capacity, sum(pool.map(subscribe, range(12))))
        events, _ = self.decide_on(*boundary)
        self.assertEqual(capacity, len(events))

    def test_invoice_numbers_have_no_gap(self):
        def invoice(_):
            while True:
                events, head = self.decide_on(clause("InvoiceCreated"))
                number = 1 + len(events)
                try:
                    self.append_if(event_pb2.Event(type="InvoiceCreated", tags=[f"invoice:{number}"]),
                                   clause("InvoiceCreated"), after=head)
                    return number
                except grpc.RpcError as error:
                    self.assertEqual(grpc.StatusCode.ABORTED, error.code())

        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            self.assertEqual(list(range(1, 25)), sorted(pool.map(invoice, range(24))))

    def test_what_is_before_the_position_is_ignored_through_restarts(self):
        self.append_if(event_pb2.Event(type="A", tags=["t"]), clause(tags=["t"]))
        self.append_if(event_pb2.Event(type="B", tags=["u"]), clause(tags=["u"]))
        for kill in (None, False, True):
            if kill is not None:
                self.restart(kill=kill)
            refused = lambda after, *clauses: lambda: self.append_if(event_pb2.Event(type="X"), *clauses, after=after)
            self.assert_condition_fails(1, refused(0, clause(tags=["t"])))
            self.assert_condition_fails(1, refused(0, clause("A")))
            self.assert_condition_fails(2, refused(1, clause(tags=["t"]), clause("B", tags=["u"])))
            self.assert_condition_fails(2, refused(1, event_pb2.Clause(streams=["events"])))
            self.assert_condition_fails(1, refused(0))
        self.append_if(event_pb2.Event(type="X"), clause("B", tags=["t"]), clause(tags=["t", "u"]))
        self.append_if(event_pb2.Event(type="X"), clause("A"), after=1)
        self.append_if(event_pb2.Event(type="X"), after=4)
        self.assertEqual(5, self.head())

    def test_streams_and_condition_are_told_together(self):
        self.append("order-1", "A")
        request = event_store_pb2.AppendRequest(
            writes=[event_store_pb2.Write(stream="order-1", expected_revision=0, events=[event_pb2.Event(type="B")])],
            condition=event_store_pb2.Condition(none_match=event_pb2.Filter(any_of=[clause("A")])))
        _, details = self.assert_refused(grpc.StatusCode.ABORTED, "REVISION_CONFLICT",
                                         lambda: self.store.Append(request))
        conflicts = event_store_pb2.AppendConflicts.FromString(details["daybook.v1.AppendConflicts"])
        self.assertEqual([1], [conflict.actual_revision for conflict in conflicts.streams])
        self.assertEqual(1, conflicts.condition.position)

    def test_a_replay_is_one_whatever_the_condition_says_now(self):
        event = event_pb2.Event(id="01890a5d-ac96-774b-bcce-b302099a8057", type="A")
        self.append_if(event, clause("A"))
        self.assertTrue(self.append_if(event, clause("A")).replayed)

    def test_bad_conditions(self):
        self.append("s", "A")
        event = event_pb2.Event(type="T")
        for clauses, after, field in (
                ([event_pb2.Clause()], 0, "condition.none_match.any_of[0]"),
                ([event_pb2.Clause(type_prefixes=["A"])], 0, "condition.none_match.any_of[0]"),
                ([clause("A")] * 65, 0, "condition.none_match.any_of"),
                ([clause("A")] * 1000, 0, "condition.none_match.any_of"),
                ([clause("")], 0, "condition.none_match.any_of[0].types[0]"),
                ([clause("B")], 2, "condition.after")):
            _, details = self.assert_refused(
                grpc.StatusCode.INVALID_ARGUMENT, "TOO_MANY_CLAUSES" if len(clauses) > 64 else "INVALID_FIELD",
                lambda given=clauses, at=after: self.append_if(event, *given, after=at))
            self.assertIn(field, self.violations(details))
        self.assertEqual(1, self.head())


if __name__ == "__main__":
    harness.main()
