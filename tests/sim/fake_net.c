/*
 * fake_net.c - see fake_net.h.
 */
#include "fake_net.h"

#include "fake_coordinator.h"

/* When the next copy of a message arrives; 0: there is none (any more). `sent`: copies so far. */
static int64_t next_copy(struct sim *sim, int sent)
{
    const struct sim_profile *p = &sim->profile;

    if (sent == 0 ? !sim->quiet && sim_chance(&sim->random, p->net_lost) : sim->quiet || !sim_chance(&sim->random, p->net_twice)) {
        sim_count(sim->coverage, sent == 0 ? SIM_NET_LOST : SIM_NET_ONCE);
        return 0;
    }
    if (sent > 0)
        sim_count(sim->coverage, SIM_NET_TWICE);
    return sim->now_ns + sim_spread(&sim->random, SIM_MS / 10, !sim->quiet && sim_chance(&sim->random, p->net_slow) ? 5 * SIM_S : 2 * SIM_MS);
}

void sim_net_go(struct sim_node *from, const struct aff_go *go, int64_t deadline_ns)
{
    struct sim *sim = from->sim;
    const struct sim_hand *h = sim_coordinator_hand_of(sim->coordinator, go->major);
    int64_t at, lasts_ns = deadline_ns - sim_node_mono_ns(from);

    for (int i = 0; h && (at = next_copy(sim, i)) > 0; i++)
        sim_node_go(sim->nodes[h->to], go, lasts_ns, h->to_incarnation, at);
    if (!sim->quiet && sim_chance(&sim->random, sim->profile.go_pause)) /* it hears everything late, the end of its patience first */
        sim_node_pause(from, sim_spread(&sim->random, 290 * SIM_MS, 3 * SIM_S), false);
}

void sim_net_taken(struct sim_node *from, uint32_t major, bool leads)
{
    struct sim *sim = from->sim;
    const struct sim_hand *h = sim_coordinator_hand_of(sim->coordinator, major);
    int64_t at;

    for (int i = 0; h && (at = next_copy(sim, i)) > 0; i++)
        sim_node_went(sim->nodes[h->from], major, leads, h->from_incarnation, at);
}
