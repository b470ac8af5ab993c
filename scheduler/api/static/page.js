"use strict";
// Polls the public API and draws what it says. Every text goes in by textContent.

const APPS_SHOWN = 300;
const TASKS_SHOWN = 200;
const POLL_MS = 2000;

const LACKS = {
  UnfulfilledRole: "an offer for its role",
  UnfulfilledConstraint: "an agent that meets its constraints",
  NoCorrespondingReservationFound: "a matching reservation",
  AgentMaintenance: "an agent without maintenance soon",
  InsufficientCpus: "cpus",
  InsufficientMemory: "memory",
  InsufficientDisk: "disk",
  InsufficientGpus: "gpus",
  InsufficientPorts: "free ports",
  DeclinedScarceResources: "an agent without scarce resources",
};

const byId = (id) => document.getElementById(id);
const open = new Set();
let latest = { apps: [], queue: [], deployments: [] };

function make(tag, className, text) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (text !== undefined) node.textContent = text;
  return node;
}

async function get(path) {
  const response = await fetch(path, { headers: { Accept: "application/json" } });
  const body = await response.json();
  if (!response.ok) throw new Error(body.message || String(response.status));
  return body;
}

function since(text) {
  const seconds = Math.max(0, Math.round((Date.now() - Date.parse(text)) / 1000));
  if (seconds < 90) return `${seconds} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  if (seconds < 129600) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86400)} d`;
}

function why(item) {
  const left = item.delay.timeLeftSeconds;
  if (left > 0) return `back-off after failures, next try in ${left} s`;
  const miss = item.nearestMiss;
  if (miss) {
    const lack = LACKS[miss.reason] || miss.reason;
    const detail = miss.wanted || miss.offered ? ` (wants ${miss.wanted}, has ${miss.offered})` : "";
    return `no offer fits: the nearest, on ${miss.host}, lacks ${lack}${detail}`;
  }
  const offers = item.processedOffersSummary.processedOffersCount;
  return offers ? `being placed, ${offers} offers seen` : "no offer from Mesos yet";
}

function drawList(section, list, items) {
  byId(section).hidden = items.length === 0;
  byId(list).replaceChildren(...items.map(([name, text]) => {
    const line = make("li");
    line.append(make("strong", "", name), make("span", "", text));
    return line;
  }));
}

function drawWaiting(queue) {
  drawList("waiting", "queue", queue.map((item) => [
    item.app.id,
    `${item.count} ${item.count === 1 ? "instance" : "instances"} for ${since(item.since)}: ${why(item)}`,
  ]));
}

function drawDeployments(deployments) {
  drawList("deploying", "deployments", deployments.map((deployment) => {
    const actions = deployment.currentActions.map((a) => `${a.action} ${a.app}`).join(", ");
    const step = `step ${deployment.currentStep} of ${deployment.totalSteps}`;
    const own = deployment.egret || {};
    const isSingle = deployment.affectedApps.length === 1;
    const said = (block) => (isSingle ? block.message : `${block.app}: ${block.message}`);
    const blocks = (own.blockedBy || []).map(said).join("; ");
    const reason = own.paused ? `paused: ${own.paused}` : blocks || actions;
    return [deployment.affectedApps.join(", "), `${step} for ${since(own.startedAt || deployment.version)}: ${reason}`];
  }));
}

function drawTotals(apps, queue) {
  const sum = (key) => apps.reduce((total, app) => total + (app[key] || 0), 0);
  const waiting = queue.reduce((total, item) => total + item.count, 0);
  const totals = [
    ["Apps", apps.length, ""],
    ["Running", sum("tasksRunning"), ""],
    ["Healthy", sum("tasksHealthy"), ""],
    ["Unhealthy", sum("tasksUnhealthy"), sum("tasksUnhealthy") ? "bad" : ""],
    ["Staging", sum("tasksStaged"), ""],
    ["Waiting", waiting, waiting ? "wait" : ""],
  ];
  byId("totals").replaceChildren(...totals.map(([name, value, mood]) => {
    const tile = make("div", mood);
    tile.append(make("dt", "", name), make("dd", "", value));
    return tile;
  }));
}

function moodOf(app) {
  if (app.tasksUnhealthy) return ["bad", "unhealthy"];
  if (app.deployments.length) return ["wait", "deploying"];
  if (app.instances === 0) return ["plain", "stopped"];
  const { finished, failed } = app.ended || { finished: 0, failed: 0 };
  if (failed) return ["bad", "failed"];
  const wanted = app.instances - finished;
  if (wanted <= 0 && !app.tasksRunning) return ["good", "done"];
  if (app.tasksRunning < wanted) return ["wait", "waiting"];
  if (!app.healthChecks) return ["plain", "running"];
  return app.tasksHealthy >= wanted ? ["good", "healthy"] : ["wait", "starting"];
}

function barOf(app) {
  const bar = make("div", "bar");
  const total = Math.max(app.instances, app.tasksRunning + app.tasksStaged, 1);
  const plain = app.tasksRunning - app.tasksHealthy - app.tasksUnhealthy;
  const parts = [["good", app.tasksHealthy], ["plain", plain], ["bad", app.tasksUnhealthy], ["wait", app.tasksStaged]];
  for (const [kind, count] of parts) {
    if (count <= 0) continue;
    const part = make("i", kind);
    part.style.width = `${(100 * count) / total}%`;
    bar.append(part);
  }
  bar.title = `${app.tasksHealthy} healthy, ${app.tasksUnhealthy} unhealthy, ${app.tasksStaged} staging`;
  return bar;
}

function endpointsOf(task) {
  const cell = make("td");
  if (!task.ports.length) cell.textContent = task.host;
  task.ports.forEach((port, index) => {
    const link = make("a", "", `${task.host}:${port}`);
    link.href = `http://${task.host}:${port}/`;
    link.rel = "noreferrer";
    if (index) cell.append(", ");
    cell.append(link);
  });
  return cell;
}

function healthOf(task) {
  const results = task.healthCheckResults || [];
  if (!results.length) return ["plain", "–"];
  const bad = results.find((result) => !result.alive);
  return bad ? ["bad", bad.lastFailureCause || "failing"] : ["good", "healthy"];
}

function tableOf(tasks) {
  const table = make("table");
  const head = make("tr");
  for (const title of ["Task", "Endpoint", "State", "Health", "Since"]) head.append(make("th", "", title));
  table.append(head);
  for (const task of tasks.slice(0, TASKS_SHOWN)) {
    const row = make("tr");
    const [mood, text] = healthOf(task);
    const health = make("td");
    health.append(make("span", `tag ${mood}`, text));
    row.append(
      make("td", "id", task.id),
      endpointsOf(task),
      make("td", "", task.state.replace("TASK_", "").toLowerCase()),
      health,
      make("td", "", since(task.startedAt || task.stagedAt)),
    );
    table.append(row);
  }
  return table;
}

function insideOf(app) {
  const inside = make("div", "inside");
  inside.append(make("p", "", `${app.cpus} cpus, ${app.mem} MiB · version ${app.version}`));
  const failure = app.lastTaskFailure;
  if (failure) {
    const what = failure.state === "TASK_FINISHED" ? "last end" : "last failure";
    inside.append(make("p", "", `${what} ${since(failure.timestamp)} ago on ${failure.host}: ${failure.state} ${failure.message}`));
  }
  if (app.tasks.length) inside.append(tableOf(app.tasks));
  if (app.tasks.length > TASKS_SHOWN) inside.append(make("p", "", `and ${app.tasks.length - TASKS_SHOWN} more`));
  return inside;
}

function drawApp(app) {
  const card = make("details");
  card.open = open.has(app.id);
  card.addEventListener("toggle", () => (card.open ? open.add(app.id) : open.delete(app.id)));
  const [mood, text] = moodOf(app);
  const summary = make("summary");
  summary.append(
    make("span", "id", app.id),
    barOf(app),
    make("span", "count", `${app.tasksRunning} of ${app.instances}`),
    make("span", `tag ${mood}`, text),
  );
  card.append(summary, insideOf(app));
  return card;
}

function drawApps() {
  const wanted = byId("filter").value.trim().toLowerCase();
  const apps = latest.apps.filter((app) => app.id.includes(wanted));
  apps.sort((a, b) => (a.id < b.id ? -1 : 1));
  byId("apps").replaceChildren(...apps.slice(0, APPS_SHOWN).map(drawApp));
  byId("empty").hidden = latest.apps.length > 0;
}

function drawStatus(info) {
  const status = byId("status");
  const mesos = info.egret.mesosConnected ? `Mesos ${info.egret.mesosMaster}` : "not connected to Mesos";
  status.textContent = `${mesos} · framework ${info.frameworkId || "–"} · version ${info.egret.version}`;
  status.className = info.egret.mesosConnected ? "" : "bad";
}

async function refresh() {
  const apps = "v2/apps?embed=apps.tasks,apps.lastTaskFailure,apps.ended";
  const [info, found, queue, deployments] = await Promise.all([
    get("v2/info?embed=egret"), get(apps), get("v2/queue?embed=nearestMiss"), get("v2/deployments?embed=egret"),
  ]);
  latest = { apps: found.apps, queue: queue.queue, deployments };
  drawStatus(info);
  drawTotals(latest.apps, latest.queue);
  drawWaiting(latest.queue);
  drawDeployments(latest.deployments);
  drawApps();
}

async function poll() {
  const startedAt = performance.now();
  if (!document.hidden) {
    try {
      await refresh();
    } catch (error) {
      byId("status").textContent = `no answer: ${error.message}`;
      byId("status").className = "bad";
    }
  }
  // A large cluster answers slowly: never ask more than a tenth of the time.
  setTimeout(poll, Math.max(POLL_MS, 9 * (performance.now() - startedAt)));
}

byId("filter").addEventListener("input", drawApps);
poll();
