/*
 * One version's database and those who apply events to it: internal/projection,
 * session.go, applier.go, replay.go and follow.go.
 *
 * Each applier takes the lock, raises the epoch, builds the database up to a
 * target if it is not complete, and then follows. Any of them may end at any
 * moment and come again. The lock may be lost without its holder knowing: what
 * is claimed must not depend on it. The server may crash once, and takes back
 * what was committed without waiting for the disk.
 *
 * Claims
 *   once, in order   no event is applied twice, or before the one in front of it
 *   stages           a complete database never is incomplete again
 *   reports          what was reported is on the disk
 *   progress         in the end every event is applied and reported, once
 *
 * Left out: holes (frontier.pml: the reader hands out events in order), what
 * rows an event changes (a counter of each event stands for them), indexes.
 * A chunk's transaction is one step: it locks the checkpoint's row first, so
 * that no other transaction of an applier runs beside it.
 *
 * run: checkpoint
 * mutant: CHECKPOINT_UNCONDITIONAL  the checkpoint moves without its condition
 * mutant: NO_EPOCH                  the condition has the position, but no epoch
 * mutant: EPOCH_READ_LATER          the epoch is raised in one statement and read in the next
 * mutant: CHECKPOINT_APART          the checkpoint moves in a transaction of its own
 * mutant: REPORT_BEFORE_DISK        a position is reported when it is committed
 */

#define APPLIERS 2
#define EVENTS   3
#define TARGET   2                       /* where the replay ends */
#define DEATHS   2                       /* appliers that end without a cause */
#define THEFTS   2                       /* times that the lock is lost */

#define REPLAYING 0
#define INDEXING  1
#define COMPLETE  2

typedef Row { byte position; byte epoch; byte stage; byte times[EVENTS + 1] };
Row now;                                 /* what the server shows */
Row disk;                                /* what a crash leaves */
byte holder;                             /* whose session has the lock, 0 for nobody's */
bool crashed;
byte reported;
byte deaths, thefts;

inline flush() {
	disk.position = now.position; disk.epoch = now.epoch; disk.stage = now.stage;
	disk.times[1] = now.times[1]; disk.times[2] = now.times[2]; disk.times[3] = now.times[3]
}

inline project(e) {
	assert(now.times[e] == 0);           /* once */
	assert(e == 1 || now.times[e - 1] == 1); /* in order */
	now.times[e] = now.times[e] + 1
}

/* UPDATE checkpoint … WHERE position = <previous> AND epoch = <mine> */
#ifdef MUTANT_CHECKPOINT_UNCONDITIONAL
#define unchanged true
#elif defined(MUTANT_NO_EPOCH)
#define unchanged (now.position == position)
#else
#define unchanged (now.position == position && now.epoch == epoch)
#endif

#define alive (mine == crashed)          /* a crash ends every session */

/* The stage moves, and nothing else. A replay waits for the disk. */
inline mark(next) {
	atomic {
		if
		:: alive && unchanged ->
			assert(now.stage != COMPLETE || next == COMPLETE); /* stages */
			now.stage = next; now.position = position; stage = next; flush();
			printf("applier %d: stage %d\n", me, next)
		:: else -> goto again
		fi
	}
}

proctype Applier(byte me) {
	byte position, epoch, stage, secured;
	bool mine;

again:
	atomic { position = 0; epoch = 0; stage = 0; secured = 0; mine = crashed;
		if
		:: holder == me -> holder = 0    /* the session ends, and the lock with it */
		:: else
		fi }
end:
	atomic { holder == 0 -> holder = me; mine = crashed }
#ifdef MUTANT_EPOCH_READ_LATER
	atomic { alive -> now.epoch++ }
#endif
	atomic {
		if
		:: alive ->
#ifndef MUTANT_EPOCH_READ_LATER
			now.epoch++;
#endif
			epoch = now.epoch; position = now.position; stage = now.stage;
			printf("applier %d: epoch %d, position %d, stage %d\n", me, epoch, position, stage);
			if
			:: stage != COMPLETE -> flush()
			:: else
			fi
		:: else -> goto again
		fi
	}
	do
	:: atomic { deaths < DEATHS -> deaths++; printf("applier %d ends\n", me); goto again }
	/* replay */
	:: stage == REPLAYING && position < TARGET ->
		atomic {
			if
			:: alive && unchanged ->
				project(position + 1);
#ifndef MUTANT_CHECKPOINT_APART
				now.position = position + 1;
#endif
				flush(); position++;
				printf("applier %d replays %d\n", me, position)
			:: else -> goto again
			fi
		}
#ifdef MUTANT_CHECKPOINT_APART
		atomic { alive -> now.position = position; flush() }
#endif
	:: stage == REPLAYING && position == TARGET -> mark(INDEXING)
	:: stage == INDEXING -> mark(COMPLETE)
	/* follow */
	:: stage == COMPLETE && position < EVENTS ->
		atomic {
			if
			:: alive && unchanged ->
				project(position + 1);
#ifndef MUTANT_CHECKPOINT_APART
				now.position = position + 1;
#endif
				position++;
				printf("applier %d follows to %d\n", me, position)
			:: else -> goto again
			fi
		}
#ifdef MUTANT_CHECKPOINT_APART
		atomic { alive -> now.position = position }
#endif
	/* secure, and report. A report that fails is made again later. */
	:: stage == COMPLETE && (position != secured || reported < position) ->
#ifndef MUTANT_REPORT_BEFORE_DISK
		atomic {
			if
			:: alive -> flush(); secured = position
			:: else -> goto again
			fi
		}
#else
		secured = position;
#endif
		atomic {
			reported = secured; printf("applier %d reports %d\n", me, reported);
			assert(disk.position >= reported) /* reports */
		}
	:: !alive -> goto again
	/* The follower has nothing to do. */
	:: stage == COMPLETE && position == EVENTS && secured == EVENTS && reported == EVENTS && alive ->
end_idle:
		if
		:: !alive -> goto again
		:: reported < EVENTS
		:: atomic { deaths < DEATHS -> deaths++; printf("applier %d ends\n", me); goto again }
		fi
	od
}

proctype Thief() {
end:
	do
	:: atomic { thefts < THEFTS && holder != 0 -> thefts++; printf("%d loses the lock\n", holder); holder = 0 }
	od
}

/* The server writes its log to the disk now and then, and crashes once. */
proctype Server() {
end:
	do
	:: atomic { !crashed && (disk.position != now.position || disk.epoch != now.epoch) -> flush() }
	:: atomic { !crashed ->
		crashed = true; holder = 0;
		now.position = disk.position; now.epoch = disk.epoch; now.stage = disk.stage;
		now.times[1] = disk.times[1]; now.times[2] = disk.times[2]; now.times[3] = disk.times[3];
		printf("the server crashes; the checkpoint is %d\n", now.position) }
	od
}

/* progress: nobody has anything left to do, so everything must be done. */
proctype Audit() {
	timeout -> assert(now.stage == COMPLETE && now.position == EVENTS && reported == EVENTS &&
		now.times[1] == 1 && now.times[2] == 1 && now.times[3] == 1) /* progress */
}

init {
	byte i = 1;
	atomic {
		do
		:: i <= APPLIERS -> run Applier(i); i++
		:: else -> break
		od;
		run Thief(); run Server(); run Audit()
	}
}
