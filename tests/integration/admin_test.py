"""Care of a running store: its figures."""

import time

import harness
from harness import admin_pb2


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


if __name__ == "__main__":
    harness.main()
