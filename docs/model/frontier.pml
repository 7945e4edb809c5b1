/*
 * Reading the log without missing an event: internal/eventlog, frontier.go and
 * reader.go, on what Postgres does with a table, its sequence and its locks.
 *
 * Writers take the table's lock, draw positions, and commit, roll back or
 * prepare, in any order. The server may crash once. A reader follows the log
 * from its checkpoint, and a watermark is drawn.
 *
 * Claims
 *   lost        no event becomes visible at or below the reader's checkpoint
 *   complete    in the end the reader has applied what is visible, nothing else
 *   watermark   nothing becomes visible at or below a watermark, and everything
 *               that was visible when it was asked for is
 *
 * Left out: payloads and ids (a position stands for its event), the limit of a
 * reading (a chunk that ends early is a reader that reads again), sessions that
 * break for other reasons than a crash (a new one begins in the same way).
 *
 * run: frontier
 * mutant: NAIVE_READER            a hole is passed at once
 * mutant: NO_WAIT                 the holders of the lock are not waited for
 * mutant: LOCKS_BEFORE_SEQUENCE   the holders are read before the sequence
 * mutant: OLD_SNAPSHOT            after the wait, the snapshot from before it is used
 * mutant: TRAILING_HOLE_PASSED    the checkpoint may be a position without an event
 * mutant: SETTLED_OUTLIVES_CRASH  what was learned of holes is kept after a crash
 * mutant: PREPARED_FORGOTTEN      a prepared transaction does not count as a holder
 * mutant: DRAW_BEFORE_LOCK        positions are drawn before the table's lock is taken
 */

#define WRITERS   2
#define EACH      3                      /* room for the transactions of a writer */
#define writes(w) (2 + (w))              /* how many it has */
#define bit(n)    (1 << (n))
#define upTo(p)   (bit((p) + 1) - 1)     /* the positions 0 to p */
#define PREPARED  bit(15)

unsigned visible : 8;                    /* positions that a new snapshot shows */
unsigned holding : 16;                   /* transactions that hold the table's lock */
byte sequence;                           /* last position handed out */
byte prepared;                           /* position that a prepared transaction drew */
bool crashed;                            /* the server has crashed */
byte writing = WRITERS;                  /* writers that are not done */

byte checkpoint;                         /* last event applied */
unsigned applied : 8;
byte watermark;                          /* 0 until it is drawn */

inline highest(set, p) {
	p = 7;
	do
	:: p > 0 && !((set) & bit(p)) -> p--
	:: else -> break
	od
}

inline appear(p) {
	visible = visible | bit(p);
	assert(p > checkpoint);              /* lost */
	assert(p > watermark)                /* watermark */
}

proctype Writer(byte me) {
	byte n, p;
	bool mine;                           /* the server's life that the session belongs to */

	do
	:: n < writes(me) ->
		mine = crashed;
#ifdef MUTANT_DRAW_BEFORE_LOCK
		atomic { sequence++; p = sequence; printf("writer %d draws %d\n", me, p) }
		atomic { holding = holding | bit(me * EACH + n); printf("writer %d has the lock\n", me) }
#else
		atomic { holding = holding | bit(me * EACH + n); printf("writer %d has the lock\n", me) }
		atomic {
			if
			:: mine == crashed -> sequence++; p = sequence; printf("writer %d draws %d\n", me, p)
			:: else -> goto ended
			fi
		}
#endif
		if
		:: atomic { mine == crashed -> printf("writer %d commits %d\n", me, p); appear(p) }
		:: atomic { mine == crashed -> printf("writer %d rolls %d back\n", me, p) }
		:: atomic { me == 0 && n == 0 && mine == crashed ->
			printf("writer %d prepares %d\n", me, p);
			prepared = p;
			holding = (holding | PREPARED) & ~bit(me * EACH + n) }
			/* Whoever decides on it needs no session of the writer. */
			if
			:: atomic { printf("%d, prepared, is committed\n", p); appear(p) }
			:: atomic { printf("%d, prepared, is rolled back\n", p) }
			fi
			atomic { holding = holding & ~PREPARED; prepared = 0 }
		:: mine != crashed
		fi
ended:	atomic { holding = holding & ~bit(me * EACH + n); n++; p = 0; mine = false }
	:: else -> break
	od
	writing--
}

/* A crash ends every session. What was committed or prepared is on the disk, and
 * the state of the sequence with it; positions above may be handed out again. */
proctype Crash() {
	byte least;
	atomic {
		crashed = true;
		holding = holding & PREPARED;
		highest(visible, least);
		if
		:: prepared > least -> least = prepared
		:: else
		fi;
		do
		:: sequence > least -> sequence--
		:: break
		od;
		printf("the server crashes; its sequence is at %d\n", sequence)
	}
}

#ifdef MUTANT_LOCKS_BEFORE_SEQUENCE
#define readHold(l, h) h = holding; l = sequence
#else
#define readHold(l, h) l = sequence; h = holding
#endif

#ifdef MUTANT_NO_WAIT
#define left(h) 0
#elif defined(MUTANT_PREPARED_FORGOTTEN)
#define left(h) ((h) & holding & ~PREPARED)
#else
/* A prepared transaction may go on under another name: it always counts. */
#define left(h) ((h) && (((h) | PREPARED) & holding))
#endif

proctype Reader() {
	byte last, settled, limit, p;
	unsigned holders : 16;
	unsigned shown : 8;
	bool mine, hole, blocked;

session:
	atomic {
		mine = crashed; last = checkpoint; hole = false; limit = 0; holders = 0;
#ifndef MUTANT_SETTLED_OUTLIVES_CRASH
		settled = 0
#endif
	}
	do
	:: mine != crashed -> goto session
	/* There is something above the checkpoint, and nothing or no longer
	 * anything that holds the reader back. */
	:: mine == crashed && (visible & ~upTo(last)) &&
		(!hole || !left(holders) || (visible & bit(last + 1))) ->
		if
		:: atomic { hole && !left(holders) ->
			hole = false; holders = 0;
			if
			:: limit > settled -> settled = limit
			:: else
			fi;
			limit = 0;
			printf("reader: nothing can appear up to %d\n", settled) }
#ifdef MUTANT_OLD_SNAPSHOT
			skip
#else
			atomic { shown = visible }
#endif
		:: else -> atomic { shown = visible }
		fi;
		if
		:: mine != crashed -> goto session
		:: else
		fi;
		d_step {                         /* untilHole and advance, and the chunk's transaction */
			blocked = false; p = last + 1;
			do
			:: p < 8 && !blocked ->
				if
#ifdef MUTANT_NAIVE_READER
				:: (shown & bit(p)) ->
#else
				:: (shown & bit(p)) && p != last + 1 && p - 1 > settled -> blocked = true
				:: (shown & bit(p)) && (p == last + 1 || p - 1 <= settled) ->
#endif
					applied = applied | bit(p); last = p; printf("reader applies %d\n", p)
				:: else
				fi;
				p++
			:: else -> break
			od;
			checkpoint = last; p = 0;
#ifndef MUTANT_OLD_SNAPSHOT
			shown = 0
#endif
		}
		if
		:: blocked && !hole ->
			readHold(limit, holders);
			hole = true
		:: else
		fi;
		blocked = false
#ifdef MUTANT_TRAILING_HOLE_PASSED
	/* A reader that looks at holes without an event behind them. */
	:: atomic { mine == crashed && sequence > last && !(visible & ~upTo(last)) && !holding ->
		last = sequence; checkpoint = last; printf("reader passes dead positions to %d\n", last) }
#endif
	:: mine == crashed && writing == 0 && !(visible & ~upTo(last)) -> break
	od;
	assert(applied == visible)           /* complete */
}

proctype Watermark() {
	byte before, limit, p;
	unsigned holders : 16;
	bool mine;

	atomic { mine = crashed; highest(visible, before) }
	readHold(limit, holders);
	!left(holders) || mine != crashed;
	atomic {
		if
		:: mine == crashed ->
			highest(visible & upTo(limit), p);
			watermark = p;
			printf("the watermark is %d\n", watermark);
			assert(watermark >= before)  /* watermark */
		:: else                          /* its session has ended */
		fi
	}
}

init {
	byte i;
	atomic {
		do
		:: i < WRITERS -> run Writer(i); i++
		:: else -> break
		od;
		run Crash();
		/* They do not know of each other: what holds for each holds for both. */
		if
		:: run Reader()
		:: run Watermark()
		fi
	}
}
