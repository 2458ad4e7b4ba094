"""Faults of the network: connections that are slow and are cut at any byte, between a healthy daemon and healthy clients."""

from campaign import Campaign
from clients import Subscriber
from ledger import harness
from harness import admin_pb2
from proxy import Proxy

CUTS_COUNT = 30


def cut_connections(budget, seed, failpoints=()):
    """Everything goes through a proxy: subscribers see each event once, retries have the result of the first attempt."""
    campaign = Campaign("connections cut at any byte", seed, failpoints=failpoints)
    campaign.start()
    proxy = Proxy(campaign.port, seed)
    direct, campaign.address = campaign.address, proxy.address
    campaign.clients_start()
    campaign.address = direct
    while budget.goes_on(campaign.row):
        cuts = proxy.cuts_count
        campaign.acknowledged_more(100)
        harness.wait_until(lambda before=cuts: proxy.cuts_count >= before + CUTS_COUNT or campaign.ledger.violations,
                           "connections to cut")
        if campaign.daemon.process.poll() is not None:
            campaign.ledger.violation(f"the daemon ended by itself with {campaign.daemon.process.returncode}")
            break
        campaign.row.rounds += 1
    proxy.calm()
    # The daemon holds nothing of the connections that are gone.
    admin, subscribers_count = campaign.admin(), len(campaign.of(Subscriber))
    harness.wait_until(lambda: admin.GetStats(admin_pb2.GetStatsRequest(), timeout=harness.PATIENCE_SECONDS)
                       .subscriptions_count <= subscribers_count, "the end of subscriptions whose connections were cut")
    row = campaign.finish()
    proxy.close()
    row.note = row.note or f"{proxy.cuts_count} of {proxy.connections_count} connections cut"
    return row
