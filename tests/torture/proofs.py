"""Proves that the run can fail: the daemon breaks a promise on purpose, and the fault that is about it must notice.

A proof passes when its fault FAILS, by what is named here, within the rounds that are given.
"""

import campaign
import faults_data
import faults_disk
import faults_kill
import faults_removal

# name of the switch: (what it breaks, the fault that must notice, its rounds, how the row shows it)
PROOFS = {
    "break_ack_early": ("acknowledges before the commit", faults_kill.random_kills, 20, lambda row: row.lost > 0),
    "break_tail_publish": ("skips the tail and the head now and then", faults_kill.random_kills, 20,
                           lambda row: any("the head is" in text or "I5" in text for text in row.problems)),
    # Wrong bytes are served, or bytes that no client can read.
    "break_checksum": ("does not look at checksums", faults_data.damage, 400,
                       lambda row: row.wrong > 0 or any("Exception deserializing" in text for text in row.problems)),
    "break_meta_sync": ("does not sync the meta page (MDB_NOMETASYNC)", faults_disk.power_cut, 20,
                        lambda row: row.lost > 0 or any("has lost what was acknowledged" in text for text in row.problems)),
    "break_visibility": ("shows what was deleted or is beyond a limit", faults_removal.removed, 20,
                         lambda row: any("began after it was taken away" in text for text in row.problems)),
    "break_erasure": ("erases nothing", faults_removal.removed, 20,
                      lambda row: any("was erased and is there" in text for text in row.problems)),
}


class Rounds:
    """So many rounds, and no more once something is wrong."""

    def __init__(self, rounds):
        self.rounds = rounds

    def goes_on(self, row, rounds_min=None):
        return row.rounds < self.rounds and not campaign.has_failed(row)


def run(seed, names=None):
    """Prints a line for each; returns whether every proof passed."""
    all_passed = True
    for name in names or PROOFS:
        what, fault, rounds, is_noticed = PROOFS[name]
        row = fault(Rounds(rounds), seed, failpoints=[f"{name}=on"])
        if row.is_skipped:
            print(f"proof {name:<20} skipped: {row.note}", flush=True)
            continue
        passed = is_noticed(row)
        all_passed = all_passed and passed
        found = next(iter(row.problems), "nothing")
        print(f"proof {name:<20} {'noticed' if passed else 'NOT NOTICED'} by \"{row.fault}\" in round {row.rounds}: the daemon "
              f"{what}: {row.lost} lost, {row.wrong} wrong; {found[:160]} (seed {seed})", flush=True)
    return all_passed
