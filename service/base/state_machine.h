/* state_machine.h: a table of states with their allowed moves, asserted on every move.
 *
 * Ownership: tables are static; the machine is part of its owner. Threads: its owner's. */
#ifndef SERVICE_BASE_STATE_MACHINE_H
#define SERVICE_BASE_STATE_MACHINE_H

#include <assert.h>
#include <stdint.h>

struct state {
    const char *name;
    uint32_t moves_allowed; /* bit n: the state n may follow */
};

struct state_machine {
    const struct state *states;
    uint32_t current;
};

static inline void state_machine_init(struct state_machine *machine, const struct state *states, uint32_t first) {
    machine->states = states;
    machine->current = first;
}

static inline void state_machine_move(struct state_machine *machine, uint32_t next) {
    assert((machine->states[machine->current].moves_allowed & (1u << next)) != 0);
    machine->current = next;
}

static inline const char *state_machine_name(const struct state_machine *machine) {
    return machine->states[machine->current].name;
}

#endif
