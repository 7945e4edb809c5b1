/*
 * The switch: controllers/release, stage_catchup.go to stage_fence.go and
 * upkeep.go, with the ledger, the right to append, the Services, the pods, the
 * log, and the applier of each version's database.
 *
 * Version 0 is live, version 1 is built and verified. Somebody asks for version
 * 1, and perhaps for version 0 again, at any moment. Clients write over
 * connections that they keep. The operator crashes once, at any step, and begins
 * again from what is stored; and one of its calls fails, after which the pass
 * goes on as the code does. With -DSTALE it does not crash: a second operator
 * takes the release over at any moment, and the first one does not know it until
 * something is refused. With -DSTRICT the mode is Strict.
 *
 * Claims
 *   lost        no event becomes visible at or below a checkpoint
 *   W1          when a version becomes live its database has everything that was
 *               visible when its watermark was asked for (Strict: everything)
 *   one live    the Services are only ever pointed at the version that the
 *               ledger says is live (Strict: or at the one that becomes so,
 *               while nobody can append)
 *   fence       once the release says that a version is fenced, none of its
 *               appends becomes visible until it is live again
 *   no refusal  no write that comes over a connection to a running pod is
 *               refused (Strict: none that comes through the Service once the
 *               switch is done)
 *   progress    in the end the version that is asked for is live, the Services
 *               lead to it, the other one is fenced, both databases hold exactly
 *               what is visible, and every acknowledged write is in it
 *
 * Nothing in the model can go round in a circle, so that every run ends, and
 * progress is what holds when nobody can do anything any more.
 *
 * Left out: how a reader finds the frontier (frontier.pml) and how a chunk is
 * applied once (checkpoint.pml): an applier applies the next event in one step
 * when nothing below it can still appear. The stages before CaughtUp. The age of
 * a mark, approval, lag: a version that is ready is ready. That a watermark is
 * waited for is in frontier.pml.
 *
 * run: switch
 * run: stale -DSTALE
 * run: strict -DSTRICT
 * mutant: FLIP_BEFORE_W1           (switch) the switch does not wait for the watermark
 * mutant: SERVICES_BEFORE_LEDGER   (switch) the Services are pointed before the ledger says who is live
 * mutant: GRANT_AFTER_FLIP         (switch) the right to append comes after the Services
 * mutant: CLAIM_BEFORE_GRANT       (switch) a new operator points the Services before the live version may append
 * mutant: FENCE_BEFORE_DRAIN       (switch) the right is taken while pods that had traffic run
 * mutant: DRAIN_BEFORE_FLIP        (switch) pods are replaced while the Services still lead to them
 * mutant: REVOKE_IS_ENOUGH         (switch) transactions that appended before the REVOKE are not waited for
 * mutant: SETTLED_BY_GRANT         (switch) who has no right is taken to have no transaction
 * mutant: EVIDENCE_KEPT            (switch) a version that lost its place keeps the stages it had passed
 * mutant: NAIVE_APPLIER            (switch) the appliers pass holes
 * mutant: STALE_SERVICE            (stale) a stale operator's change of a Service is not refused
 * mutant: STALE_GRANT              (stale) a stale operator's REVOKE and GRANT are not refused
 * mutant: STALE_LEDGER             (stale) a stale operator's write to the ledger is not refused
 * mutant: NO_CLAIM                 (stale) a new operator does not write its epoch on the Services first
 * mutant: STRICT_WITHOUT_LOCK      (strict) the log is not locked
 * mutant: STRICT_WITHOUT_CATCHUP   (strict) the database is not caught up under the lock
 * mutant: LEDGER_NOT_READ_AGAIN    (strict) after a commit that may have failed the pass believes what it read before
 * mutant: STRICT_REVOKES_LATER     (strict) the right is taken after the transaction
 */

#define bit(n)   (1 << (n))
#define upTo(p)  (bit((p) + 1) - 1)
#define EACH     1                       /* writes of a client */
#ifdef STALE
#define CLIENTS  1
#else
#define CLIENTS  2
#endif
#define NONE     255

/* The source: the log, its lock, the rights. */
unsigned visible : 8;                    /* positions that a snapshot shows */
unsigned open : 8;                       /* positions that were drawn and are not decided */
byte sequence;
unsigned holding : 8;                    /* transactions that hold the lock to append */
unsigned by : 8;                         /* which of them, and of all, are version 1's */
bool excluded;                           /* LOCK TABLE … SHARE ROW EXCLUSIVE */
unsigned granted : 2 = 1;                /* versions that may append */

/* The ledger. */
byte epoch = 1;
bool guarded;                            /* a transaction holds the epoch: nobody can take another */
bit live;
byte mark[2] = NONE;
byte drains[2];
unsigned caughtUp : 2 = 1;
unsigned switched : 2 = 1;
unsigned fenced : 2 = 1;

/* The cluster. */
bit spec;
bit service;                             /* the version that the Services select */
byte claimed = 1;                        /* the epoch that they carry */
byte template[2];                        /* drains in the annotation of a version's pods */
unsigned ending : 2;                     /* versions with pods of the template before */

byte checkpoint[2];
bool dies, crashed;                      /* the operator does, the operator has */
byte done;                               /* clients and the user that are done */

/* What the claims compare with. */
unsigned served : 2 = 1;                 /* versions that the Services ever led to */
unsigned closed : 2;                     /* versions that the release said are fenced */
byte before[2];                          /* the highest that was visible when a mark was asked for */

inline highest(set, p) {
	p = 7;
	do
	:: p > 0 && !((set) & bit(p)) -> p--
	:: else -> break
	od
}

/* Pods of a version run whose template had so many drains. */
#define runs(v, g) ((g) == template[v] || ((ending & bit(v)) && (g) + 1 == template[v]))

#include "clients.inc"
#include "stages.inc"

/*
 * One pass after the other, each up to the first stage that is not passed. Only
 * operators write to the ledger, so that a copy of it would differ for a stale
 * one alone, and what that one writes is refused. What a pass read of the rest
 * may be out of date when it is used.
 */
proctype Operator(byte me) {
	byte mine, read, low, last, head, wait;
	unsigned held : 8;
	bit t;                               /* spec.version as the pass read it */
	bool others;                         /* the other version may append */
	bool drained;                        /* its pods that had traffic are gone */
	bit known;                           /* what the ledger says is live, as it was read last */
	bool failed;

begin:
	{
	atomic {
		if
		:: me == 0 && !crashed -> mine = 1
		:: me == 0 && crashed -> epoch++; mine = epoch; printf("operator 0 begins again\n")
		:: me == 1 && !guarded -> epoch++; mine = epoch; printf("operator 1 takes over\n")
		fi }
#ifndef MUTANT_NO_CLAIM
	if
	:: mine > 1 -> claimed = mine; wait = AGAIN;
#ifndef MUTANT_CLAIM_BEFORE_GRANT
		grant(live);
#endif
		point(live)
	:: else
	fi;
#endif
	do
	:: /* gather */
		d_step { wait = AGAIN; t = spec; known = live; drained = fresh(1 - t);
			others = (granted & bit(1 - t)) != 0;
			if
			:: live != t -> drained = false  /* its pods will have had traffic */
			:: else
			fi }
		/* CaughtUp */
		if
		:: caughtUp & bit(t)
		:: else ->
			atomic {
				if
				:: !mayWrite -> goto superseded
				:: mayWrite && ready(t) -> caughtUp = caughtUp | bit(t)
				:: mayWrite && !ready(t) -> wait = PODS; goto upkeep
				fi }
		fi;
		/* Switched */
		if
		:: live == t
		:: live != t -> take()
		fi;
#ifdef MUTANT_GRANT_AFTER_FLIP
		point(t);
		grant(t);
#else
		grant(t);
		point(t);
#endif
		if
		:: switched & bit(t)
		:: else ->
			atomic {
				if
				:: mayWrite -> switched = switched | bit(t)
				:: else -> goto superseded
				fi }
		fi;
		/* Fenced */
		if
		:: (fenced & bit(t)) && !others ->
			d_step {
				if
				:: mine == epoch && live == t -> closed = closed | bit(1 - t)
				:: else
				fi }
		:: else -> fence()
		fi;
		wait = NOTHING;
upkeep:
#ifdef STRICT
		atomic { me == 0 -> guarded = false; excluded = false }  /* the transaction, if there was one */
#endif
		/* A version that is live while another one is on its way. */
#ifndef MUTANT_LEDGER_NOT_READ_AGAIN
		known = live;
#endif
		if
		:: known != t && live != t ->
			grant(1 - t);
			point(1 - t)
		:: known != t && live == t ->    /* only if it was not read again */
			point(1 - t)
		:: else
		fi;
		replace(0);
		replace(1);
end:
		/* The next pass begins when it can go further than this one. */
		if
		:: wait == AGAIN
		:: wait == PODS && ready(t)
		:: wait == MARK && (checkpoint[t] >= mark[t] || mark[t] == NONE)
		:: wait == DRAIN && (fresh(1 - t) || !(granted & bit(1 - t)))
		:: wait == SETTLE && !writing(1 - t)
		:: spec != t
		:: wait == NOTHING && (live != t || service != t || granted != bit(t))
		fi
	od;
	} unless {
		atomic { dies && me == 0 ->
			dies = false;
			wait = 0; t = 0; others = 0; drained = 0; known = 0; read = 0; low = 0; last = 0; held = 0; head = 0;
			guarded = false; excluded = false;
			printf("operator 0 crashes\n");
			goto begin }
	};
superseded:
	wait = NOTHING; t = 0; others = 0; drained = 0; known = 0; read = 0; low = 0; last = 0; held = 0; head = 0
}

proctype Crash() {
	d_step { dies = true; crashed = true }
}

/* progress: nobody can do anything any more. */
proctype Audit() {
	byte top;
	timeout ->
	highest(visible, top);
	assert(done == CLIENTS + 1); /* progress */
	assert(live == spec && service == spec && granted == bit(spec) && (fenced & bit(spec))); /* progress */
	assert(checkpoint[0] == top && checkpoint[1] == top) /* progress */
}

init {
	atomic {
		run Client(0);
#if CLIENTS > 1
		run Client(1);
#endif
		run Applier(0); run Applier(1);
		run Kubelet(); run User();
		run Operator(0);
#ifdef STALE
		run Operator(1);
#else
		run Crash();
#endif
		run Audit()
	}
}
