// Builds the library from Emmett's messages with a processor that has never run,
// and prints how many seconds that took.
//
// node rebuild.mjs <connection string> <batch size>
//
// One projection does all, one prepared statement an event: three would visit
// most events twice, and each visit stores a checkpoint. Between two batches
// Emmett waits as long as it is told, so it is told not to.
import { randomUUID } from 'node:crypto';
import { postgreSQLEventStoreConsumer, postgreSQLProjection } from '@event-driven-io/emmett-postgresql';
import { statements, toStatement } from './statements.mjs';

const [connectionString, batchSize] = process.argv.slice(2);

const library = postgreSQLProjection({
  name: 'library',
  canHandle: Object.keys(statements),
  handle: async (events, { connection }) => {
    for (const event of events) {
      await connection.client.query(toStatement(event));
    }
  },
});

const consumer = postgreSQLEventStoreConsumer({
  connectionString,
  pulling: { batchSize: Number(batchSize), pullingFrequencyInMs: 0 },
  stopWhen: { noMessagesLeft: true },
});
consumer.projector({ processorId: `library-${randomUUID()}`, projection: library, startFrom: 'BEGINNING' });

const started = performance.now();
await consumer.start();
const seconds = (performance.now() - started) / 1000;
await consumer.close();
console.log(seconds);
