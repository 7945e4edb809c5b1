// Makes the tables that Emmett keeps its messages and processors in.
//
// node schema.mjs <connection string>
import { getPostgreSQLEventStore } from '@event-driven-io/emmett-postgresql';

const store = getPostgreSQLEventStore(process.argv[2]);
await store.schema.migrate();
await store.close();
