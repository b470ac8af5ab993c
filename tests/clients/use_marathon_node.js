// Do with the npm packages marathon-node and marathon-event-bus-client what their users do.
// Usage: node use_marathon_node.js URL
'use strict';

const assert = require('assert');
const EventBus = require('marathon-event-bus-client');
const url = process.argv[2];
const marathon = require('marathon-node')(url);

const pause = (ms) => new Promise((done) => setTimeout(done, ms));

async function until(probe, what) {
  const giveUpAt = Date.now() + 60000;
  for (;;) {
    const found = await probe();
    if (found) return found;
    assert(Date.now() < giveUpAt, `not in time: ${what}`);
    await pause(100);
  }
}

const idle = () => until(async () => (await marathon.deployments.getList()).length === 0, 'idle');

function followEvents(seen) {
  const types = ['deployment_info', 'deployment_success', 'status_update_event'];
  const note = (name, data) => seen.push([name, data]);
  const handlers = Object.fromEntries(types.map((type) => [type, note]));
  const address = new URL(url);
  const bus = new EventBus({
    marathonHost: address.hostname, marathonPort: address.port, eventTypes: types, handlers,
  });
  return new Promise((done) => {
    bus.on('subscribed', () => done(bus));
    bus.subscribe();
  });
}

async function useApps() {
  const created = await marathon.app.create({ id: '/js/web', cmd: 'sleep 1000', instances: 2 });
  assert.strictEqual(created.id, '/js/web');
  await until(async () => (await marathon.app.getOne('/js/web')).app.tasksRunning === 2, 'tasks');
  const listed = await marathon.app.getList({ embed: 'apps.tasks' });
  assert.strictEqual(listed.apps[0].tasks.length, 2);
  assert.strictEqual((await marathon.app.getTasks('/js/web')).tasks.length, 2);
  await idle();
  const { version } = await marathon.app.update('/js/web', { instances: 1 });
  await idle();
  assert((await marathon.app.getVersions('/js/web')).versions.includes(version));
  assert.strictEqual((await marathon.app.getVersion('/js/web', version)).instances, 1);
  await marathon.app.restart('/js/web');
  await idle();
  const [task] = (await marathon.app.getTasks('/js/web')).tasks;
  await marathon.app.killTask('/js/web', task.id, false);
  await until(async () => {
    const { tasks } = await marathon.app.getTasks('/js/web');
    return tasks.length === 1 && tasks[0].id !== task.id;
  }, 'a new task');
  await marathon.tasks.kill({ ids: [(await marathon.tasks.getList()).tasks[0].id] });
}

async function useTheRest() {
  await marathon.groups.create({ id: '/jsg', apps: [{ id: 'a', cmd: 'x', instances: 0 }] });
  assert.strictEqual((await marathon.groups.getOne('/jsg')).apps[0].id, '/jsg/a');
  await marathon.groups.update('/jsg', { apps: [] }, true);
  await marathon.groups.destroy('/jsg', true);
  assert(Array.isArray((await marathon.queue.get()).queue));
  assert((await marathon.info.get()).frameworkId);
  assert((await marathon.leader.get()).leader);
  await marathon.misc.ping();
  await assert.rejects(marathon.app.getOne('/js/nothing'), (error) => error.statusCode === 404);
}

(async () => {
  const seen = [];
  const bus = await followEvents(seen);
  await useApps();
  await useTheRest();
  await marathon.app.destroy('/js/web', true);
  await idle();
  const running = ([name, data]) => name === 'status_update_event'
    && data.appId === '/js/web' && data.taskStatus === 'TASK_RUNNING';
  await until(() => seen.some(running), 'the event of a running task');
  await until(() => seen.some(([name]) => name === 'deployment_success'), 'the end in the events');
  bus.unsubscribe();
  console.log('marathon-node, marathon-event-bus-client: all well');
  setTimeout(() => process.exit(0), 200);
})().catch((error) => {
  console.error(error);
  process.exit(1);
});
