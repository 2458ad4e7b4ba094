"""The consumer of examples/exactly_once: why its checkpoint is stale, what it does then, and that its check can fail."""

import json
import os
import signal
import subprocess

import harness
from harness import event_pb2, event_store_pb2

EXAMPLE = harness.BINARIES / "examples" / "exactly_once"
CHECK = harness.ROOT / "examples" / "exactly_once" / "check.awk"


class ExactlyOnceTest(harness.DaemonTest):
    def consumer(self, *arguments):
        process = subprocess.Popen([EXAMPLE / "invoicing", self.daemon.address, *arguments], stdin=subprocess.DEVNULL,
                                   stderr=subprocess.PIPE, text=True)
        self.addCleanup(process.stderr.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        self.assertIn("at work, the head is", process.stderr.readline())
        return process

    def orders(self, first, last):
        result = harness.run([EXAMPLE / "orders", self.daemon.address, str(first), str(last)])
        self.assertEqual(0, result.returncode, result.stderr)
        return result.stdout

    def invoices(self):
        return [json.loads(recorded.event.text)
                for response in self.store.Read(event_store_pb2.ReadRequest(
                    filter=event_pb2.Filter(any_of=[event_pb2.Clause(types=["InvoiceIssued"])])))
                for recorded in response.events]

    def assert_one_each(self, count):
        self.assertEqual([(number, number) for number in range(1, count + 1)],
                         [(invoice["invoice"], invoice["order"]) for invoice in self.invoices()])

    def issue_as_another(self, process, number):
        """Orders once more, and issues the invoice while the consumer sleeps: it will be too late."""
        process.send_signal(signal.SIGSTOP)
        harness.wait_until(lambda: self.is_stopped(process), "the consumer to stop")
        self.orders(number, number)
        position = self.head()
        event = event_pb2.Event(type="InvoiceIssued", text=json.dumps({"invoice": number, "order": number}))
        self.store.Append(event_store_pb2.AppendRequest(
            writes=[event_store_pb2.Write(stream="invoices", events=[event])],
            checkpoint=event_store_pb2.Checkpoint(consumer="invoicing", position=position)))
        process.send_signal(signal.SIGCONT)

    def is_stopped(self, process):
        with open(f"/proc/{process.pid}/stat", encoding="ascii") as file:
            return file.read().rpartition(")")[2].split()[0] == "T"

    def test_the_predecessors_last_append_is_told_from_another_instance(self):
        process = self.consumer("--alone")
        self.issue_as_another(process, 1)
        self.assertIn("has its invoice, the checkpoint is 1: the last append of the instance before this one",
                      process.stderr.readline())
        self.orders(2, 4)
        harness.wait_until(lambda: len(self.invoices()) == 4, "the next invoices")
        self.issue_as_another(process, 5)
        self.assertIn("another instance is at work", process.stderr.readline())
        self.assertEqual(3, process.wait(harness.PATIENCE_SECONDS))
        self.assertIn("3 invoices issued, 2 were there already", process.stderr.read())
        self.assert_one_each(5)

    def test_one_that_is_not_alone_goes_on(self):
        process = self.consumer()
        self.orders(1, 3)
        harness.wait_until(lambda: len(self.invoices()) == 3, "invoices")
        for number in (4, 6):
            self.issue_as_another(process, number)
            self.assertIn("another instance is at work", process.stderr.readline())
            self.orders(number + 1, number + 1)
            harness.wait_until(lambda: len(self.invoices()) == number + 1, "the next invoice")
        self.assert_one_each(7)

    def test_it_goes_on_where_it_was_through_kills_of_both_sides(self):
        for count in range(5, 41, 5):
            process = self.consumer()
            self.orders(count - 4, count)
            harness.wait_until(lambda: len(self.invoices()) >= count - 3, "invoices")
            if count % 10 == 0:
                process.kill()
            self.channel.close()
            self.daemon.kill()
            os.unlink(self.daemon.log.name)
            self.daemon = harness.Daemon(self.data, port=self.daemon.port)
            self.connect()
            harness.wait_until(lambda: count % 10 == 0 or len(self.invoices()) == count, "the rest")
            process.kill()
        process = self.consumer(str(self.head()))
        self.assertEqual(0, process.wait(harness.PATIENCE_SECONDS), process.stderr.read())
        self.assert_one_each(40)
        self.assertEqual("orders: 0 recorded\n", self.orders(1, 40))

    def test_the_check_finds_what_is_wrong(self):
        order = '{{"type":"OrderPlaced","text":"{{\\"order\\":{0},\\"total_cents\\":1}}"}}\n'.format
        invoice = '{{"type":"InvoiceIssued","text":"{{\\"invoice\\":{0},\\"order\\":{1}}}"}}\n'.format
        good = order(5) + order(7) + invoice(1, 5) + invoice(2, 7)
        bad = {"no order": "", "an invoice is missing": order(5) + order(7) + invoice(1, 5),
               "twice": good + invoice(3, 7), "one order, two numbers": order(5) + invoice(1, 5) + invoice(2, 5),
               "a gap": order(5) + order(7) + invoice(1, 5) + invoice(3, 7),
               "one number twice": order(5) + order(7) + invoice(1, 5) + invoice(1, 7),
               "out of order": order(5) + order(7) + invoice(1, 7) + invoice(2, 5),
               "too early": order(5) + invoice(1, 5) + invoice(2, 7) + order(7)}
        check = lambda text: subprocess.run(["awk", "-f", CHECK], input=text, capture_output=True, text=True, check=False)
        self.assertEqual(0, check(good).returncode, check(good).stdout)
        for what, text in bad.items():
            self.assertEqual(1, check(text).returncode, what)
            self.assertIn("wrong: ", check(text).stdout)


if __name__ == "__main__":
    harness.main()
