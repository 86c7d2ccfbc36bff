// agenda with a job that does nothing. It runs in a folder where agenda is installed:
//   node agenda_rival.mjs fill ADDRESS DUE OTHERS MIX
//   node agenda_rival.mjs work ADDRESS MIX COUNTER
// See python_rivals.py for what the two verbs do.
import { createRequire } from 'node:module';
import { openSync, writeSync } from 'node:fs';
import { pathToFileURL } from 'node:url';

// From the folder that it is started in, not the one that this file is in.
const installed = createRequire(pathToFileURL(`${process.cwd()}/`));
const load = (name) => import(pathToFileURL(installed.resolve(name)));

const CHUNK = 5000;
const AT_ONCE = 100;
const LATER = 30 * 24 * 3600 * 1000;
const [verb, address, ...rest] = process.argv.slice(2);

async function fill(due, others, mix) {
  const { MongoClient } = await load('mongodb');
  const client = await MongoClient.connect(address);
  const jobs = client.db().collection('agendaJobs');
  await jobs.drop().catch(() => {});
  const now = new Date();
  const job = (kind) => ({
    name: 'noop', type: 'normal', priority: 0, data: {}, lockedAt: null, lastModifiedBy: null,
    nextRunAt: kind === 'finished' ? null : kind === 'future' ? new Date(now.getTime() + LATER) : now,
    ...(kind === 'finished' ? { lastRunAt: now, lastFinishedAt: now } : {}),
  });
  const total = due + others;
  const upTo = (place) => Math.floor((place * due) / total);
  for (let start = 0; start < total; start += CHUNK) {
    const places = Array.from({ length: Math.min(CHUNK, total - start) }, (_, place) => start + place);
    const kinds = places.map((place) => (upTo(place + 1) > upTo(place) ? 'due' : mix));
    await jobs.insertMany(kinds.map(job), { ordered: false });
  }
  await client.close();
  // It makes its indexes when it is first started.
  const { Agenda } = await load('agenda');
  const { MongoBackend } = await load('@agendajs/mongo-backend');
  const agenda = new Agenda({ backend: new MongoBackend({ address }) });
  await agenda.start();
  await agenda.stop();
  process.exit(0);
}

async function work(_mix, path) {
  const { Agenda } = await load('agenda');
  const { MongoBackend } = await load('@agendajs/mongo-backend');
  const file = openSync(path, 'w');
  const done = Buffer.alloc(8);
  let jobs = 0n;
  const agenda = new Agenda({
    backend: new MongoBackend({ address }),
    processEvery: 100,
    // Without one it locks all that is due, one by one, before it runs the first.
    defaultLockLimit: 2 * AT_ONCE,
    maxConcurrency: AT_ONCE,
    defaultConcurrency: AT_ONCE,
  });
  agenda.define('noop', async () => {
    jobs += 1n;
    done.writeBigUInt64LE(jobs);
    writeSync(file, done, 0, 8, 0);
  });
  process.on('SIGTERM', async () => {
    await agenda.stop();
    process.exit(0);
  });
  await agenda.start();
}

if (verb === 'fill') await fill(Number(rest[0]), Number(rest[1]), rest[2]);
else await work(rest[0], rest[1]);
