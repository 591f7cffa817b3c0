/* SPDX-License-Identifier: ISC */
#include "core/guard.h"

/* The comments with an @ are what `make check-proof` proves of the code, in ACSL. A sum over the
 * first n domains is a recursive function of n; ghost code, which only the prover sees, walks the
 * array where it must learn what changing one domain does to a sum. */

/*@ logic integer larger(integer a, integer b) = a > b ? a : b;
  @ logic integer untaken(integer actual, integer claim, integer cap) =
  @     larger(claim, larger(cap - actual, 0));
  @
  @ logic integer untaken_sum{L}(struct guard_domain *d, integer n) = n <= 0 ? 0 :
  @     untaken_sum(d, n - 1) + untaken(d[n-1].actual_kib, d[n-1].claim_kib, d[n-1].cap_kib);
  @ logic integer headroom{L}(struct guard_host *h, struct guard_domain *d, integer n) =
  @     h->free_kib - h->claims_kib - h->reserve_kib - h->reserved_kib - untaken_sum(d, n);
  @
  @ // What the minimums lack in memory, or leave of it.
  @ logic integer minimums_sum{L}(struct guard_domain *d, integer n) = n <= 0 ? 0 :
  @     minimums_sum(d, n - 1) + (d[n-1].fixed || d[n-1].uncounted ?
  @         untaken(d[n-1].actual_kib, d[n-1].claim_kib, d[n-1].cap_kib) :
  @         d[n-1].min_kib + d[n-1].slack_kib - d[n-1].actual_kib);
  @ predicate minimums_fit{L}(struct guard_host *h, struct guard_domain *d, integer n) =
  @     h->free_kib - h->claims_kib - h->reserve_kib - h->reserved_kib >= minimums_sum(d, n);
  @
  @ // What the gifts cost: how much more the domains could take with them.
  @ logic integer cost(integer actual, integer claim, integer cap, integer grant) =
  @     untaken(actual, claim, larger(cap, grant)) - untaken(actual, claim, cap);
  @ logic integer spent{L}(struct guard_domain *d, integer n) = n <= 0 ? 0 : spent(d, n - 1) +
  @     cost(d[n-1].actual_kib, d[n-1].claim_kib, d[n-1].cap_kib, d[n-1].grant_cap_kib);
  @
  @ // From there to the promise: what a domain can reach, in the model of docs/promise.md. Taking
  @ // memory and letting it go do not add to it. Nor does a call add more than the plan counted,
  @ // whatever the domain has done since the look. Summed up over the domains: whichever of the
  @ // calls are made, and whatever guests do, reach grows by no more than spent.
  @ logic integer reach(integer actual, integer claim, integer cap) =
  @     actual + untaken(actual, claim, cap);
  @ lemma taking: \forall integer actual, claim, cap, more;
  @     0 <= actual && 0 <= claim && 0 <= more <= untaken(actual, claim, cap) ==>
  @     reach(actual + more, larger(claim - more, 0), cap) <= reach(actual, claim, cap);
  @ lemma letting_go: \forall integer actual, claim, cap, less;
  @     0 <= less <= actual && 0 <= claim ==>
  @     reach(actual - less, claim, cap) <= reach(actual, claim, cap);
  @ lemma calling: \forall integer actual, claim, cap, grant, actual_now, claim_now;
  @     0 <= actual && 0 <= claim && 0 <= actual_now && 0 <= claim_now &&
  @     reach(actual_now, claim_now, cap) <= reach(actual, claim, cap) ==>
  @     reach(actual_now, claim_now, grant) <=
  @     reach(actual, claim, cap) + cost(actual, claim, cap, grant);
  @
  @ predicate host_ok{L}(struct guard_host *h) = \valid_read(h) &&
  @     h->free_kib <= GUARD_KIB_MAX && h->claims_kib <= GUARD_KIB_MAX &&
  @     h->reserve_kib <= GUARD_KIB_MAX && h->reserved_kib <= GUARD_KIB_MAX;
  @ predicate domain_ok{L}(struct guard_domain *d) = \valid_read(d) &&
  @     d->actual_kib <= GUARD_KIB_MAX && d->cap_kib <= GUARD_KIB_MAX &&
  @     d->claim_kib <= GUARD_KIB_MAX && d->slack_kib <= GUARD_KIB_MAX &&
  @     d->min_kib <= GUARD_KIB_MAX && d->max_kib <= GUARD_KIB_MAX;
  @ predicate domains_ok{L}(struct guard_domain *d, integer n) = 0 <= n <= GUARD_DOMAINS_MAX &&
  @     \forall integer i; 0 <= i < n ==> domain_ok(d + i);
  @
  @ // Nothing has changed but grants.
  @ predicate same{L1,L2}(struct guard_domain *d, integer n) = \forall integer i; 0 <= i < n ==>
  @     \at(d[i].fixed, L1) == \at(d[i].fixed, L2) &&
  @     \at(d[i].actual_kib, L1) == \at(d[i].actual_kib, L2) &&
  @     \at(d[i].cap_kib, L1) == \at(d[i].cap_kib, L2) &&
  @     \at(d[i].claim_kib, L1) == \at(d[i].claim_kib, L2) &&
  @     \at(d[i].slack_kib, L1) == \at(d[i].slack_kib, L2) &&
  @     \at(d[i].min_kib, L1) == \at(d[i].min_kib, L2) &&
  @     \at(d[i].max_kib, L1) == \at(d[i].max_kib, L2);
  @ predicate same_grants{L1,L2}(struct guard_domain *d, integer n) = \forall integer i;
  @     0 <= i < n ==> \at(d[i].grant_cap_kib, L1) == \at(d[i].grant_cap_kib, L2);
  @
  @ // What holds for every domain after each step of the plan: whoever is not to be touched keeps
  @ // its cap, a changed cap has room for a target that is no higher than max, and whoever is below
  @ // its minimum is not lowered, unless somebody else broke the promise.
  @ predicate grant_ok{L}(struct guard_domain *d) =
  @     (d->fixed ==> d->grant_cap_kib == d->cap_kib) &&
  @     (d->grant_cap_kib != d->cap_kib ==> d->grant_cap_kib >= d->slack_kib) &&
  @     (!d->fixed ==> d->grant_cap_kib <= d->max_kib + d->slack_kib);
  @ predicate minimum_ok{L}(struct guard_domain *d) = d->fixed || d->min_kib > d->max_kib ||
  @     d->grant_cap_kib >= d->cap_kib || d->grant_cap_kib >= d->min_kib + d->slack_kib;
  @ predicate grants_ok{L}(struct guard_domain *d, integer n) =
  @     \forall integer i; 0 <= i < n ==> grant_ok(d + i);
  @ predicate minimums_ok{L}(struct guard_domain *d, integer n) =
  @     \forall integer i; 0 <= i < n ==> minimum_ok(d + i);
  @ predicate no_gift{L}(struct guard_domain *d, integer n) =
  @     \forall integer i; 0 <= i < n ==> d[i].grant_cap_kib <= d[i].cap_kib;
  @*/

/*@ requires domain_ok(domain) && cap_kib <= 2 * GUARD_KIB_MAX;
  @ assigns \nothing;
  @ ensures \result == untaken(domain->actual_kib, domain->claim_kib, cap_kib);
  @ ensures \result <= 2 * GUARD_KIB_MAX;
  @ ensures cap_kib <= GUARD_KIB_MAX ==> \result <= GUARD_KIB_MAX;
  @*/
uint64_t guard_untaken_kib(const struct guard_domain *domain, uint64_t cap_kib)
{
    uint64_t room_kib = cap_kib > domain->actual_kib ? cap_kib - domain->actual_kib : 0;

    return room_kib > domain->claim_kib ? room_kib : domain->claim_kib;
}

/*@ requires host_ok(host) && domains_ok(domains, n);
  @ assigns \nothing;
  @ ensures \result == headroom(host, domains, n);
  @ ensures -(GUARD_DOMAINS_MAX + 3) * GUARD_KIB_MAX <= \result <= GUARD_KIB_MAX;
  @*/
int64_t guard_headroom_kib(const struct guard_host *host, const struct guard_domain *domains,
                           size_t n)
{
    uint64_t untaken_kib = 0;

    /*@ loop invariant 0 <= i <= n;
      @ loop invariant untaken_kib == untaken_sum(domains, i);
      @ loop invariant 0 <= untaken_kib <= i * GUARD_KIB_MAX;
      @ loop assigns i, untaken_kib;
      @ loop variant n - i;
      @*/
    for (size_t i = 0; i < n; i++)
        untaken_kib += guard_untaken_kib(&domains[i], domains[i].cap_kib);
    return (int64_t)host->free_kib - (int64_t)host->claims_kib - (int64_t)host->reserve_kib
           - (int64_t)host->reserved_kib - (int64_t)untaken_kib;
}

/* The cap with which a domain has its minimum. */
/*@ requires domain_ok(domain);
  @ assigns \nothing;
  @ ensures \result == domain->min_kib + domain->slack_kib;
  @*/
static uint64_t min_cap(const struct guard_domain *domain)
{
    return domain->min_kib + domain->slack_kib;
}

/*@ requires host_ok(host) && domains_ok(domains, n);
  @ assigns \nothing;
  @ ensures \result <==> minimums_fit(host, domains, n);
  @*/
bool guard_minimums_fit(const struct guard_host *host, const struct guard_domain *domains, size_t n)
{
    int64_t left_kib = (int64_t)host->free_kib - (int64_t)host->claims_kib
                       - (int64_t)host->reserve_kib - (int64_t)host->reserved_kib;

    /*@ loop invariant 0 <= i <= n;
      @ loop invariant left_kib == \at(left_kib, LoopEntry) - minimums_sum(domains, i);
      @ loop invariant -(3 + 2 * i) * GUARD_KIB_MAX <= left_kib <= (1 + i) * GUARD_KIB_MAX;
      @ loop assigns i, left_kib;
      @ loop variant n - i;
      @*/
    for (size_t i = 0; i < n; i++) {
        if (domains[i].fixed || domains[i].uncounted)
            left_kib -= (int64_t)guard_untaken_kib(&domains[i], domains[i].cap_kib);
        else
            left_kib += (int64_t)domains[i].actual_kib - (int64_t)min_cap(&domains[i]);
    }
    return left_kib >= 0;
}

/* The cap with which a domain has what the policy wants for it, as far as its limits allow. */
/*@ requires domain_ok(domain);
  @ assigns \nothing;
  @ ensures domain->slack_kib <= \result <= domain->max_kib + domain->slack_kib;
  @ ensures minimums_fit && domain->min_kib <= domain->max_kib ==>
  @         \result >= domain->min_kib + domain->slack_kib;
  @*/
static uint64_t goal_cap(const struct guard_domain *domain, bool minimums_fit)
{
    uint64_t goal_kib = domain->goal_kib;

    if (minimums_fit && goal_kib < domain->min_kib)
        goal_kib = domain->min_kib;
    if (goal_kib > domain->max_kib)
        goal_kib = domain->max_kib;
    return goal_kib + domain->slack_kib;
}

/* Lowers the caps of those who have more than their goal. Returns what they can no longer take. */
/*@ requires domains_ok(domains, n) && \valid(domains + (0 .. n-1));
  @ assigns domains[0 .. n-1].grant_cap_kib;
  @ ensures same{Pre,Post}(domains, n);
  @ ensures domains_ok(domains, n);
  @ ensures grants_ok(domains, n) && no_gift(domains, n);
  @ ensures minimums_fit ==> minimums_ok(domains, n);
  @ ensures \result <= n * GUARD_KIB_MAX;
  @*/
static uint64_t lower(struct guard_domain *domains, size_t n, bool minimums_fit)
{
    uint64_t gained_kib = 0;

    /*@ loop invariant 0 <= i <= n;
      @ loop invariant same{Pre,Here}(domains, n);
      @ loop invariant domains_ok(domains, n);
      @ loop invariant grants_ok(domains, i);
      @ loop invariant no_gift(domains, i);
      @ loop invariant minimums_fit ==> minimums_ok(domains, i);
      @ loop invariant 0 <= gained_kib <= i * GUARD_KIB_MAX;
      @ loop assigns i, gained_kib, domains[0 .. n-1].grant_cap_kib;
      @ loop variant n - i;
      @*/
    for (size_t i = 0; i < n; i++) {
        struct guard_domain *domain = &domains[i];
        uint64_t goal_cap_kib = goal_cap(domain, minimums_fit);
        uint64_t cap_kib = domain->cap_kib;

        if (!domain->fixed && cap_kib > goal_cap_kib)
            cap_kib = goal_cap_kib;
        gained_kib +=
            guard_untaken_kib(domain, domain->cap_kib) - guard_untaken_kib(domain, cap_kib);
        domain->grant_cap_kib = cap_kib;
    }
    return gained_kib;
}

/* Lowers caps from the last domain on, never below what a domain holds or has claimed, nor, with
 * keep_minimums, below its minimum, until they can take short_kib less: this needs nobody's help.
 * Returns what they still can. */
/*@ requires domains_ok(domains, n) && \valid(domains + (0 .. n-1));
  @ requires grants_ok(domains, n) && no_gift(domains, n);
  @ assigns domains[0 .. n-1].grant_cap_kib;
  @ ensures same{Pre,Post}(domains, n);
  @ ensures domains_ok(domains, n);
  @ ensures grants_ok(domains, n) && no_gift(domains, n);
  @ ensures \result <= short_kib;
  @*/
static uint64_t cut(struct guard_domain *domains, size_t n, bool keep_minimums, uint64_t short_kib)
{
    /*@ loop invariant 0 <= i <= n;
      @ loop invariant same{Pre,Here}(domains, n);
      @ loop invariant domains_ok(domains, n);
      @ loop invariant grants_ok(domains, n) && no_gift(domains, n);
      @ loop invariant short_kib <= \at(short_kib, Pre);
      @ loop assigns i, short_kib, domains[0 .. n-1].grant_cap_kib;
      @ loop variant i;
      @*/
    for (size_t i = n; i > 0 && short_kib > 0; i--) {
        struct guard_domain *domain = &domains[i - 1];
        uint64_t least_kib = domain->actual_kib + domain->claim_kib;
        uint64_t less_kib;

        if (least_kib < domain->slack_kib)
            least_kib = domain->slack_kib;
        if (keep_minimums && least_kib < min_cap(domain))
            least_kib = min_cap(domain);
        if (domain->fixed || domain->grant_cap_kib <= least_kib)
            continue;
        less_kib = domain->grant_cap_kib - least_kib;
        if (less_kib > short_kib)
            less_kib = short_kib;
        domain->grant_cap_kib -= less_kib;
        short_kib -= less_kib;
    }
    return short_kib;
}

/* Raises a domain's cap toward goal_cap_kib, as far as left_kib allows. Returns what is left. */
/*@ requires domain_ok(domain) && \valid(domain) && grant_ok(domain);
  @ requires domain->grant_cap_kib < goal_cap_kib <= domain->max_kib + domain->slack_kib;
  @ requires !domain->fixed && left_kib <= GUARD_KIB_MAX && goal_cap_kib >= domain->slack_kib;
  @ assigns domain->grant_cap_kib;
  @ ensures grant_ok(domain) && domain->grant_cap_kib >= \old(domain->grant_cap_kib);
  @ ensures \result <= left_kib;
  @ ensures left_kib - \result ==
  @         untaken(domain->actual_kib, domain->claim_kib, domain->grant_cap_kib) -
  @         untaken(domain->actual_kib, domain->claim_kib, \old(domain->grant_cap_kib));
  @*/
static uint64_t raise_cap(struct guard_domain *domain, uint64_t goal_cap_kib, uint64_t left_kib)
{
    uint64_t before_kib = guard_untaken_kib(domain, domain->grant_cap_kib);
    uint64_t highest_kib = domain->actual_kib + before_kib + left_kib;
    uint64_t cap_kib = goal_cap_kib;

    if (cap_kib > highest_kib) {
        uint64_t steps = (highest_kib - domain->grant_cap_kib) / GUARD_STEP_KIB;

        cap_kib = domain->grant_cap_kib + steps * GUARD_STEP_KIB;
    }
    if (cap_kib < domain->slack_kib)
        return left_kib;
    domain->grant_cap_kib = cap_kib;
    return left_kib - (guard_untaken_kib(domain, cap_kib) - before_kib);
}

/* Raises the caps of those who have less than their goal; in the round of guarantees only up to
 * their minimums. Returns what is left of left_kib. */
/*@ requires domains_ok(domains, n) && \valid(domains + (0 .. n-1));
  @ requires grants_ok(domains, n) && left_kib <= GUARD_KIB_MAX;
  @ requires minimums_fit ==> minimums_ok(domains, n);
  @ assigns domains[0 .. n-1].grant_cap_kib;
  @ ensures same{Pre,Post}(domains, n);
  @ ensures domains_ok(domains, n);
  @ ensures grants_ok(domains, n);
  @ ensures minimums_fit ==> minimums_ok(domains, n);
  @ ensures \result <= left_kib;
  @ ensures spent(domains, n) + \result <= spent{Pre}(domains, n) + left_kib;
  @*/
static uint64_t give(struct guard_domain *domains, size_t n, bool minimums_fit, bool guarantees,
                     uint64_t left_kib)
{
    /*@ loop invariant 0 <= i <= n;
      @ loop invariant same{Pre,Here}(domains, n);
      @ loop invariant domains_ok(domains, n);
      @ loop invariant grants_ok(domains, n);
      @ loop invariant minimums_fit ==> minimums_ok(domains, n);
      @ loop invariant left_kib <= \at(left_kib, Pre);
      @ loop invariant spent(domains, n) + left_kib <= spent{Pre}(domains, n) + \at(left_kib, Pre);
      @ loop assigns i, left_kib, domains[0 .. n-1].grant_cap_kib;
      @ loop variant n - i;
      @*/
    for (size_t i = 0; i < n; i++) {
        uint64_t goal_cap_kib = goal_cap(&domains[i], minimums_fit);

        if (guarantees && goal_cap_kib > min_cap(&domains[i]))
            goal_cap_kib = min_cap(&domains[i]);
        //@ ghost Before: ;
        if (!domains[i].fixed && domains[i].grant_cap_kib < goal_cap_kib)
            left_kib = raise_cap(&domains[i], goal_cap_kib, left_kib);
        /*@ ghost
          /@ loop invariant 0 <= k <= n;
             loop invariant k <= i ==> spent(domains, k) == spent{Before}(domains, k);
             loop invariant k > i ==> spent(domains, k) + left_kib <=
                                      spent{Before}(domains, k) + \at(left_kib, Before);
             loop assigns k;
             loop variant n - k; @/
          for (size_t k = 0; k < n; k++) ;
        */
    }
    return left_kib;
}

/*@ ghost
  /@ requires domains_ok(d, n) && no_gift(d, n);
     assigns \nothing;
     ensures spent(d, n) == 0; @/
  static void spent_nothing(const struct guard_domain *d, size_t n)
  {
      /@ loop invariant 0 <= k <= n;
         loop invariant spent(d, k) == 0;
         loop assigns k;
         loop variant n - k; @/
      for (size_t k = 0; k < n; k++) ;
  }
*/

/* Decides which cap each domain is to have. */
/*@ requires host_ok(host) && domains_ok(domains, n) && \valid(domains + (0 .. n-1));
  @ requires \separated(host, domains + (0 .. n-1));
  @ assigns domains[0 .. n-1].grant_cap_kib;
  @ ensures same{Pre,Post}(domains, n);
  @ ensures domains_ok(domains, n);
  @ ensures grants_ok(domains, n);
  @ ensures spent(domains, n) <= larger(headroom{Pre}(host, domains, n), 0);
  @ ensures headroom{Pre}(host, domains, n) < 0 ==> no_gift(domains, n);
  @ ensures headroom{Pre}(host, domains, n) >= 0 && minimums_fit{Pre}(host, domains, n) ==>
  @         minimums_ok(domains, n);
  @*/
static void decide(const struct guard_host *host, struct guard_domain *domains, size_t n)
{
    int64_t headroom_kib = guard_headroom_kib(host, domains, n);
    bool minimums_fit = guard_minimums_fit(host, domains, n);
    uint64_t gained_kib = lower(domains, n, minimums_fit);

    if (headroom_kib < 0) {
        uint64_t short_kib = (uint64_t)-headroom_kib;

        short_kib -= short_kib < gained_kib ? short_kib : gained_kib;
        short_kib = cut(domains, n, true, short_kib);
        (void)cut(domains, n, false, short_kib);
    }
    //@ assert no_gift(domains, n);
    //@ ghost spent_nothing(domains, n);
    if (headroom_kib >= 0) {
        uint64_t left_kib = give(domains, n, minimums_fit, true, (uint64_t)headroom_kib);

        give(domains, n, minimums_fit, false, left_kib);
    }
}

/*@ predicate call_ok{C,D}(struct guard_call *c, struct guard_domain *d, integer n, integer index) =
  @     0 <= index < n && !\at(d[index].fixed, D) &&
  @     \at(c->cap_kib, C) == \at(d[index].grant_cap_kib, D) &&
  @     \at(c->cap_kib, C) == \at(c->target_kib, C) + \at(d[index].slack_kib, D) &&
  @     (\at(c->gift, C) <==> \at(d[index].grant_cap_kib, D) > \at(d[index].cap_kib, D));
  @ predicate calls_ok{C,D}(struct guard_call *c, integer count, struct guard_domain *d,
  @                         integer n) =
  @     \forall integer k; 0 <= k < count ==> call_ok{C,D}(c + k, d, n, \at(c[k].index, C));
  @
  @ // Losses come first, and no domain has two calls.
  @ predicate calls_ordered{L}(struct guard_call *c, integer count) =
  @     \forall integer j, k; 0 <= j < k < count ==>
  @         (c[j].gift == c[k].gift && c[j].index < c[k].index) || (!c[j].gift && c[k].gift);
  @*/

/* Appends the gifts, or the losses, to the calls, of which there are never more than domains.
 * Returns their new number. */
/*@ requires domains_ok(domains, n) && grants_ok(domains, n);
  @ requires \valid(calls + (0 .. n-1)) && 0 <= count <= n;
  @ requires \separated(domains + (0 .. n-1), calls + (0 .. n-1));
  @ requires calls_ok{Here,Here}(calls, count, domains, n);
  @ requires \forall integer k; 0 <= k < count ==> !calls[k].gift;
  @ requires gifts || count == 0;
  @ requires calls_ordered(calls, count);
  @ assigns calls[0 .. n-1];
  @ ensures same{Pre,Post}(domains, n);
  @ ensures same_grants{Pre,Post}(domains, n);
  @ ensures count <= \result <= n;
  @ ensures calls_ok{Post,Post}(calls, \result, domains, n);
  @ ensures \forall integer k; count <= k < \result ==> calls[k].gift == gifts;
  @ ensures calls_ordered(calls, \result);
  @*/
static size_t emit(const struct guard_domain *domains, size_t n, bool gifts,
                   struct guard_call *calls, size_t count)
{
    /*@ loop invariant 0 <= i <= n;
      @ loop invariant \at(count, Pre) <= count <= n;
      @ loop invariant calls_ok{Here,Pre}(calls, count, domains, n);
      @ loop invariant \forall integer k; 0 <= k < \at(count, Pre) ==> !calls[k].gift;
      @ loop invariant \forall integer k; \at(count, Pre) <= k < count ==>
      @                    calls[k].gift == gifts && calls[k].index < i;
      @ loop invariant calls_ordered(calls, count);
      @ loop assigns i, count, calls[0 .. n-1];
      @ loop variant n - i;
      @*/
    for (size_t i = 0; i < n && count < n; i++) {
        const struct guard_domain *domain = &domains[i];
        uint64_t cap_kib = domain->grant_cap_kib;

        if (domain->fixed || cap_kib < domain->slack_kib || gifts != (cap_kib > domain->cap_kib))
            continue;
        if (cap_kib == domain->cap_kib && domain->target_kib == cap_kib - domain->slack_kib)
            continue;
        //@ ghost Adding: ;
        calls[count].index = (uint32_t)i;
        calls[count].gift = gifts;
        calls[count].target_kib = cap_kib - domain->slack_kib;
        calls[count].cap_kib = cap_kib;
        //@ assert call_ok{Here,Pre}(calls + count, domains, n, i);
        /*@ assert \forall integer k; 0 <= k < count ==>
                calls[k].index == \at(calls[k].index, Adding); */
        /*@ assert \forall integer k; 0 <= k < count ==>
                calls[k].gift == \at(calls[k].gift, Adding); */
        /*@ assert \forall integer k; 0 <= k < count ==>
                calls[k].target_kib == \at(calls[k].target_kib, Adding); */
        /*@ assert \forall integer k; 0 <= k < count ==>
                calls[k].cap_kib == \at(calls[k].cap_kib, Adding); */
        //@ assert calls_ok{Here,Pre}(calls, count, domains, n);
        //@ assert calls_ordered(calls, count);
        count++;
    }
    //@ assert same{Pre,Here}(domains, n);
    //@ assert same_grants{Pre,Here}(domains, n);
    //@ assert calls_ok{Here,Here}(calls, count, domains, n);
    return count;
}

/*@ requires host_ok(host) && domains_ok(domains, n);
  @ requires \valid(domains + (0 .. n-1)) && \valid(calls + (0 .. n-1));
  @ requires \separated(host, domains + (0 .. n-1), calls + (0 .. n-1));
  @ assigns domains[0 .. n-1].grant_cap_kib, calls[0 .. n-1];
  @ ensures \result <= n;
  @ ensures same{Pre,Post}(domains, n);
  @ ensures calls_ok{Post,Post}(calls, \result, domains, n);
  @ ensures calls_ordered(calls, \result);
  @ ensures grants_ok(domains, n);
  @ ensures spent(domains, n) <= larger(headroom{Pre}(host, domains, n), 0);
  @ ensures headroom{Pre}(host, domains, n) < 0 ==> no_gift(domains, n);
  @ ensures headroom{Pre}(host, domains, n) >= 0 && minimums_fit{Pre}(host, domains, n) ==>
  @         minimums_ok(domains, n);
  @*/
size_t guard_plan(const struct guard_host *host, struct guard_domain *domains, size_t n,
                  struct guard_call *calls)
{
    size_t count;

    decide(host, domains, n);
    //@ ghost Decided: ;
    count = emit(domains, n, false, calls, 0);
    //@ ghost Losses: ;
    //@ assert same{Pre,Here}(domains, n);
    //@ assert domains_ok(domains, n);
    //@ assert grants_ok(domains, n);
    //@ assert minimums_ok{Decided}(domains, n) ==> minimums_ok(domains, n);
    count = emit(domains, n, true, calls, count);
    //@ assert same{Pre,Here}(domains, n);
    //@ assert grants_ok(domains, n);
    //@ assert minimums_ok{Losses}(domains, n) ==> minimums_ok(domains, n);
    //@ assert same_grants{Decided,Here}(domains, n);
    /*@ ghost
      /@ loop invariant 0 <= k <= n;
         loop invariant spent(domains, k) == spent{Decided}(domains, k);
         loop assigns k;
         loop variant n - k; @/
      for (size_t k = 0; k < n; k++) {
          /@ assert domains[k].grant_cap_kib ==
                 \at(domains[\at(k, Here)].grant_cap_kib, Decided); @/
          /@ assert domains[k].cap_kib == \at(domains[\at(k, Here)].cap_kib, Decided); @/
          /@ assert domains[k].actual_kib == \at(domains[\at(k, Here)].actual_kib, Decided); @/
          /@ assert domains[k].claim_kib == \at(domains[\at(k, Here)].claim_kib, Decided); @/
      }
    */
    return count;
}
