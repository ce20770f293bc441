// The state of the page, the calls to the server, and the actions of clicks. views.js draws the page; dialogs.js
// has the dialogs and starts the page. Only the secret of this tab is stored.

import { render } from './lit-html.js';

export const state = {
  link: 'connecting', // live | away | gone | unknown-tab | elsewhere
  problem: null, // {message, hint} if link is away
  connections: [],
  bindings: [],
  followers: [],
  status: null,
  providers: [],
  reveals: false, // whether the server shows stored secrets
  route: { at: 'connections', name: '' },
  filter: '',
  hours: 24,
  chartWidth: 600,
  hover: -1, // slice of the chart under the pointer
  histories: new Map(), // `${name}|${hours}` → record
  handouts: new Map(), // name → list
  tests: new Map(), // id → {layers, result, problem, running, at}
  starred: '', // id of the new default that was clicked and is not confirmed yet
  busy: new Set(), // names of the actions that are running
  dialog: null, // {kind: editor | remove | unlock, …}
  days: 30, // days that the usage screen shows
  handoutFilter: '',
  more: { screens: {}, usage: null, handouts: null, upkeep: null }, // functions that draw the screens, and their data
  importing: null, // the module of the import screen, once it was loaded
  toast: null, // {text, bad, action: {label, run}, dialog: the one that was open}
  now: Date.now(),
};

// --- the server

let secret = '';

class Refusal extends Error {
  constructor(status, error) {
    super(error.message);
    Object.assign(this, { ...error, status });
  }
}

function request(path, body, signal) {
  return fetch(`/api/${path}`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', Authorization: `Bearer ${secret}` },
    body: JSON.stringify(body ?? {}),
    signal,
    cache: 'no-store',
    credentials: 'omit',
    redirect: 'error',
  });
}

async function refusal(response) {
  const answer = await response.json().catch(() => ({}));
  const error = answer.error ?? { reason: 'INTERNAL', message: `the server answered ${response.status}`, hint: '' };
  if (response.status === 401) lost('unknown-tab');
  return new Refusal(response.status, error);
}

/** Send a call and return its answer; throws a Refusal, also if the server does not answer. */
export async function ask(path, body) {
  let response;
  try {
    response = await request(path, body);
  } catch (problem) {
    if (problem.name !== 'AbortError') lost('gone');
    throw new Refusal(0, { reason: 'GONE', message: 'The server of this page has ended', hint: '' });
  }
  if (!response.ok) throw await refusal(response);
  return response.json();
}

/** Send a call whose answer is a stream; yields its lines. Throws a Refusal, or a TypeError if the server is gone. */
export async function* lines(path, body, signal) {
  const response = await request(path, body, signal);
  if (!response.ok) throw await refusal(response);
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const parts = (rest + value).split('\n');
    rest = parts.pop();
    for (const part of parts) yield JSON.parse(part);
  }
}

function lost(link) {
  state.link = link;
  changed();
}

// --- events of the daemon

export const live = () => state.link === 'live';
export const mayWrite = () => live() && state.status?.store.state === 'read_write';
export const byName = (name) => state.connections.find((one) => one.name === name);
export const theDefault = () => state.connections.find((one) => one.is_default);
export const selected = () => byName(state.route.name) ?? (wide() ? (theDefault() ?? state.connections[0]) : undefined);
export const wide = () => window.innerWidth > 860;

function take(event) {
  if (event.event !== 'away') {
    state.link = 'live';
    state.problem = null;
  }
  switch (event.event) {
    case 'snapshot':
      Object.assign(state, { connections: event.connections, bindings: event.bindings, status: event.status });
      state.followers = event.status.followers;
      state.handouts.clear();
      if (!state.providers.length) loadProviders();
      loadMore(state.route.at);
      break;
    case 'connection':
      put(event.connection);
      break;
    case 'removed':
      if (state.route.name === event.connection && byName(event.connection)) leaveRemoved(event.connection);
      state.connections = state.connections.filter((one) => one.name !== event.connection);
      break;
    case 'bindings':
      state.bindings = event.bindings;
      break;
    case 'status':
      state.status = event.status;
      state.followers = event.status.followers;
      if (state.route.at === 'upkeep') loadMore('upkeep');
      break;
    case 'transition':
      loadHistories([event.transition.connection], state.hours);
      break;
    case 'handout':
      state.handouts.delete(event.handout.connection);
      if (state.route.at === 'handouts') loadMore('handouts');
      break;
    case 'away':
      state.link = 'away';
      state.problem = event;
      break;
    case 'taken':
      state.link = 'elsewhere';
      break;
  }
  if (state.starred && byId(state.starred)?.is_default) state.starred = '';
}

/** The connection on the screen was removed: show the list, and say why. */
function leaveRemoved(name) {
  go('connections', '', true);
  toast(`${name} was removed.`);
}

const byId = (id) => state.connections.find((one) => one.id === id);

function put(connection) {
  // A switch arrives as two events; in between, two connections would be the default.
  if (connection.is_default) {
    state.connections = state.connections.map((one) => (one.is_default ? { ...one, is_default: false } : one));
  }
  const at = state.connections.findIndex((one) => one.id === connection.id);
  if (at < 0) state.connections = [...state.connections, connection];
  else {
    const before = state.connections[at];
    if (before.name !== connection.name && state.route.name === before.name) go('connections', connection.name, true);
    state.connections = state.connections.with(at, connection);
  }
}

async function followDaemon(take_over) {
  try {
    for await (const event of lines('watch', { take: take_over })) {
      take(event);
      changed();
      if (state.link === 'elsewhere') return;
    }
    lost('gone');
  } catch (problem) {
    if (problem.reason === 'TOO_MANY_TABS') lost('elsewhere');
    else if (problem.status !== 401) lost('gone');
  }
}

export function continueHere() {
  state.link = 'connecting';
  changed();
  followDaemon(true);
}

async function loadProviders() {
  try {
    Object.assign(state, await ask('providers'));
    changed();
  } catch (problem) {
    if (problem.reason === 'GONE') return;
  }
}

const loading = new Set();

export async function loadHistories(names, hours) {
  const wanted = names.filter((name) => !loading.has(`${name}|${hours}`)).slice(0, 24);
  if (!wanted.length) return;
  for (const name of wanted) loading.add(`${name}|${hours}`);
  try {
    const { histories } = await ask('history', { names: wanted, hours });
    for (const [name, one] of Object.entries(histories)) state.histories.set(`${name}|${hours}`, { ...one, loaded: state.now });
    changed();
  } catch {
    // The daemon is away, or an older version; the chart is not updated.
  } finally {
    for (const name of wanted) loading.delete(`${name}|${hours}`);
  }
}

const looked = new Set(); // `${id}|${revision}` whose last test was loaded

/** Load the result of the last test, from any program; there is none if the connection was changed since. */
async function loadLastTest(connection) {
  looked.add(seenAs(connection));
  const known = state.tests.get(connection.id);
  if (known?.running) return;
  try {
    const { last } = await ask('last_test', { name: connection.name });
    // A test that started or ended meanwhile is newer than this answer.
    if (state.tests.get(connection.id) !== known || (last && known?.at > last.at)) return;
    if (last) state.tests.set(connection.id, { layers: last.result.layers, result: last.result, problem: null, running: false, at: last.at });
    else if (!known?.problem) state.tests.delete(connection.id);
    changed();
  } catch {
    // As above.
  }
}

const seenAs = (connection) => `${connection.id}|${connection.revision}`;

async function loadHandouts(name) {
  try {
    state.handouts.set(name, (await ask('handouts', { name })).handouts);
    changed();
  } catch {
    // As above.
  }
}

/** Screens that are loaded on first use: [load the module that draws it, load its data]. */
const LATER = {
  workspaces: [() => import('./workspaces.js'), () => ask('workspaces')],
  usage: [() => import('./more.js'), () => ask('usage', { days: state.days })],
  handouts: [() => import('./more.js'), () => ask('handouts', { all: true })],
  upkeep: [() => import('./upkeep.js'), () => ask('upkeep')],
};

const latest = new Map(); // screen → number of its last request; earlier answers are dropped

export const isLater = (at) => at in LATER;

export async function loadMore(at) {
  if (at === 'import') {
    state.importing ??= await import('./import.js');
    state.importing.enter();
    changed();
  }
  if (!isLater(at)) return;
  const [load, tell] = LATER[at];
  state.more.screens[at] ??= (await load())[at];
  changed();
  if (!live()) return;
  const mine = (latest.get(at) ?? 0) + 1;
  latest.set(at, mine);
  try {
    const found = await tell();
    // Answers may arrive in another order than the requests.
    if (latest.get(at) !== mine) return;
    if (at === 'workspaces') Object.assign(state, found);
    else state.more[at] = found;
    changed();
  } catch {
    // As above.
  }
}

/** Show the import screen and focus its heading, because the button that was clicked is gone. */
export async function openImport() {
  go('import');
  await loadMore('import');
  setTimeout(() => document.getElementById('import-title')?.focus());
}

export function setDays(days) {
  state.days = days;
  loadMore('usage');
}

// --- actions of clicks

/** Run an action; while it runs, its button is disabled. A Refusal becomes a toast. `word` names the action. */
export async function doing(word, work) {
  if (state.busy.has(word)) return undefined;
  state.busy.add(word);
  changed();
  try {
    return await work();
  } catch (problem) {
    if (problem instanceof Refusal) toast(sentence(problem), { bad: true, action: remedy(problem) });
    else throw problem;
    return undefined;
  } finally {
    state.busy.delete(word);
    changed();
  }
}

/** The daemon's names of actions → what they do here. Their labels come from the daemon. */
const REMEDIES = {
  start_daemon: () => startDaemon(),
  unlock_vault: () => unlock(),
  use_recovery_code: () => unlock(),
  choose_default: () => go('connections'),
  bind_again: () => go('workspaces'),
};

/** The button for a problem: {label, run}. Null if there is none, and in dialogs if it could close them. */
export const remedy = (problem) => (REMEDIES[problem?.action] && (!state.dialog || problem.action === 'start_daemon')
  ? { label: problem.label, run: REMEDIES[problem.action] } : null);

const turns = new Map(); // word → the last queued action

// As `doing`, but an action that is requested meanwhile runs next instead of being dropped. For controls that
// act immediately, such as a list.
export function inTurn(word, work) {
  const before = turns.get(word) ?? Promise.resolve();
  const mine = before.catch(() => {}).then(() => doing(word, work));
  turns.set(word, mine);
  return mine;
}

/** The text of a problem; `beside` its field, without the field's name. */
export function sentence(problem, beside = false) {
  const field = problem.metadata?.field;
  let { message } = problem;
  if (field && message.startsWith(`${field}: `)) message = `${beside ? '' : `${wordsFor(field)}: `}${message.slice(field.length + 2)}`;
  return [message, problem.hint].filter(Boolean).map(capital).join('. ');
}

/** The name of a field for a person. */
const wordsFor = (field) => field.replaceAll('_', ' ').replace(/\b(url|api|json|ca)\b/g, (word) => word.toUpperCase());

/** A text with a capital letter, unless it begins with a command, a host or a reference such as `file:/key`. */
export const capital = (text) => (text && !/^(nexo(ctl|d) |[a-z]+[:./][^\s:])/.test(text) ? text[0].toUpperCase() + text.slice(1) : text ?? '');

// Longer than an event takes; then the star is where the daemon says.
const CONFIRMED_MS = 1000;

let switching = Promise.resolve();

export async function makeDefault(connection) {
  // The last click decides, even while an earlier one is not confirmed yet.
  if (connection.id === (state.starred || theDefault()?.id) || !connection.enabled || !mayWrite()) return;
  state.starred = connection.id;
  changed();
  const forget = () => {
    if (state.starred === connection.id) state.starred = '';
    changed();
  };
  const before = switching;
  let release;
  switching = new Promise((resolve) => { release = resolve; });
  try {
    await before;
    const done = await ask('default', { name: connection.name });
    const n = done.followers;
    const text = `${connection.name} is the default now${n ? `; ${n} running ${n > 1 ? 'programs switch' : 'program switches'}` : ''}.`;
    const undo = done.previous && done.previous !== connection.name;
    toast(done.warning ? `${text} ${capital(done.warning)}` : text, { action: undo && { label: 'Undo', run: undoDefault } });
    // The event with the change may come after the answer; until then the old star would be back.
    setTimeout(forget, CONFIRMED_MS);
  } catch (problem) {
    toast(sentence(problem), { bad: true, action: remedy(problem) });
    forget();
  } finally {
    release();
  }
}

export const undoDefault = () =>
  doing('undo', async () => {
    const done = await ask('default', { undo: true });
    toast(`${done.connection} is the default again.`);
  });

/** Test a connection; with `completion`, also request a completion, which the provider bills. */
export async function testConnection(connection, completion = false) {
  const before = state.tests.get(connection.id);
  if (before?.running || !live()) return;
  const test = { layers: [], result: null, problem: null, running: true };
  state.tests.set(connection.id, test);
  changed();
  try {
    for await (const line of lines('test', { name: connection.name, completion })) {
      if (line.layer) test.layers.push(line.layer);
      if (line.result) test.result = line.result;
      if (line.error) test.problem = line.error;
      changed();
    }
  } catch (problem) {
    test.problem = problem;
  }
  Object.assign(test, { running: false, at: new Date().toISOString() });
  changed();
  say(test.result ? `${connection.name}: ${test.result.ok ? 'works' : test.result.phrase}` : sentence(test.problem ?? {}));
  loadHistories([connection.name], state.hours);
}

export const checkAll = () =>
  doing('check', async () => {
    const { health } = await ask('check', { names: [] });
    const checked = health.filter((one) => one.reason !== 'disabled');
    toast(worked(checked.filter((one) => one.state === 'healthy').length, checked.length));
  });

/** How many of the tested connections work, as a sentence. */
export function worked(good, all) {
  if (all === 0) return 'No connection is switched on.';
  if (all === 1) return good ? 'The connection works.' : 'The connection does not work.';
  return good === all ? `All ${all} connections work.` : `${good} of ${all} connections work.`;
}

export const setEnabled = (connection, enabled) =>
  doing(`enable ${connection.id}`, async () => {
    await ask('update', { name: connection.name, revision: connection.revision, draft: { enabled } });
    toast(enabled ? `${connection.name} is switched on.` : `${connection.name} is switched off: no program gets it.`);
  });

export const pauseChecks = (paused) => doing('checks', () => ask('checks', { paused }));
/** Offer to restore the newest backup. */
export const restoreNewest = () => doing('restore', async () => (await import('./upkeep.js')).offerNewest());

export const startDaemon = () => doing('start', () => ask('start'));

export function unlock() {
  if (state.status.vault.slot === 'passphrase' || state.status.vault.state === 'key_lost') {
    openDialog({ kind: 'unlock', passphrase: '', code: '', byCode: state.status.vault.state === 'key_lost', problem: null });
    return;
  }
  doing('unlock', async () => {
    await ask('unlock');
    toast('The vault is unlocked.');
  });
}

// --- dialogs

export function openDialog(dialog) {
  state.dialog = { ...dialog, opener: document.activeElement };
  changed();
}

export function closeDialog() {
  // The browser cannot restore the focus itself, because the dialog element is removed.
  held = state.dialog?.opener ?? null;
  state.dialog = null;
  if (state.toast?.dialog) state.toast = null;
  changed();
}

// --- the focus, which a change of the page must neither lose nor move to another row

let held = null; // the element that has the focus, or had it before a change of the page

const FOCUSABLE = 'button, a[href], input, select, textarea, summary, [tabindex]';
const usable = (element) => element.isConnected && !element.disabled && element.checkVisibility();

/** What a button or list is about. The names of fields do not count, because they change while one types. */
function subject(element) {
  if (!element?.matches('button, select')) return '';
  return element.getAttribute('aria-label') ?? element.closest('[data-row]')?.dataset.row ?? '';
}

/** The elements around it, as far as its screen or dialog. */
function around(element) {
  const found = [];
  for (let up = element?.parentElement; up && !up.matches('main, .banners, #app, #dialogs'); up = up.parentElement) found.push(up);
  return found;
}

// The page may have been scrolled since.
const STAY = { preventScroll: true };

/** After a drawing: `about` and `outer` are the subject of the held element and the elements around it before. */
function keepFocus(about, outer) {
  const now = document.activeElement;
  if (!held || (now !== held && now !== document.body)) return;
  if (about && subject(held) !== about) {
    // Rows are drawn by position: another row has taken its place.
    const moved = [...document.querySelectorAll(held.tagName)].find((one) => subject(one) === about && usable(one));
    if (moved) {
      moved.focus(STAY);
      return;
    }
  }
  if (usable(held)) {
    if (now !== held) held.focus(STAY);
    return;
  }
  // An action disables its button while it runs.
  if (held.isConnected && held.disabled) return;
  const inside = outer.find((up) => up.isConnected && [...up.querySelectorAll(FOCUSABLE)].some(usable));
  const next = inside && [...inside.querySelectorAll(FOCUSABLE)].find(usable);
  (next ?? document.querySelector('main'))?.focus(STAY);
}

/** Focus the chosen connection in the list, or the first button if there is none. */
export const focusList = () => setTimeout(() =>
  (document.querySelector('[data-part=pick][tabindex="0"]') ?? document.querySelector('main button'))?.focus());

// --- routes, messages, drawing

export function go(at, name = '', replace = false) {
  const hash = at === 'connections' ? (name ? `#/connection/${encodeURIComponent(name)}` : '#/') : `#/${at}`;
  if (location.hash === hash) return;
  history[replace ? 'replaceState' : 'pushState'](null, '', hash);
  route();
}

function route() {
  // An address that is pasted into an open tab changes only the fragment, so the browser does not load the page.
  if (location.hash.startsWith('#token=')) {
    location.reload();
    return;
  }
  const [at, name] = location.hash.replace(/^#\//, '').split('/');
  const before = state.route.at;
  state.route =
    at === 'connection' ? { at: 'connections', name: decode(name) } : { at: at === 'import' || isLater(at) ? at : 'connections', name: '' };
  state.hover = -1;
  // A new screen starts at its top.
  if (state.route.at !== before) window.scrollTo(0, 0);
  loadMore(state.route.at);
  changed();
}

function decode(text = '') {
  try {
    return decodeURIComponent(text);
  } catch {
    return '';
  }
}

let toastEnds = 0;

export function toast(text, { bad = false, action = null } = {}) {
  state.toast = { text, bad, action: action || null, dialog: state.dialog };
  say(text);
  clearTimeout(toastEnds);
  // In a dialog a problem stays, because its end would move what is below it.
  if (!(bad && state.dialog)) toastEnds = setTimeout(() => closeToast(), bad ? 12000 : 7000);
  changed();
}

export function closeToast() {
  state.toast = null;
  changed();
}

/** Announce a text to screen readers. */
export function say(text) {
  // While a dialog is open, everything outside of it is inert.
  const place = state.dialog && document.querySelector('dialog [data-said]');
  (place || document.getElementById('said')).textContent = text;
}

let looks = null; // {page, dialogs}: the functions that draw
let drawn = true;

/** Draw soon; several changes in a row are drawn once. */
export function changed() {
  if (!drawn) return;
  drawn = false;
  queueMicrotask(() => {
    drawn = true;
    draw();
  });
}

function draw() {
  state.now = Date.now();
  // The content of index.html stays until there is something to show.
  if (state.status || state.link !== 'connecting') document.getElementById('first')?.remove();
  const [about, outer] = [subject(held), around(held)];
  render(looks.page(), document.getElementById('app'));
  render(looks.dialogs(), document.getElementById('dialogs'));
  const shown = document.querySelector('#dialogs dialog:not([open])');
  if (shown) {
    shown.showModal();
    shown.querySelector('[data-first]')?.focus();
  }
  keepFocus(about, outer);
  document.title = title();
  afterwards();
}

function title() {
  const bad = state.connections.filter((one) => one.enabled && one.health.state === 'unhealthy').length;
  return live() && bad ? `LLM Connections (${bad} failing)` : 'LLM Connections';
}

let soon = 0;

/** Whether a chart is missing, or lacks a slice that has begun since. */
const isOld = (past) => !past || state.now - past.loaded > past.slice_s * 1000;

/** Load the charts of the connections on the screen, when it has not changed for a moment. */
function afterwards() {
  clearTimeout(soon);
  soon = setTimeout(() => {
    if (!live() || state.route.at !== 'connections') return;
    const rows = [...document.querySelectorAll('[data-row]')].filter((row) => {
      const box = row.getBoundingClientRect();
      return box.bottom > 0 && box.top < window.innerHeight && box.height;
    });
    const wanted = rows.map((row) => row.dataset.row).filter((name) => isOld(state.histories.get(`${name}|24`)));
    if (wanted.length) loadHistories(wanted, 24);
    const one = selected();
    if (one && !state.histories.has(`${one.name}|${state.hours}`)) loadHistories([one.name], state.hours);
    if (one && !state.handouts.has(one.name)) loadHandouts(one.name);
    if (one && !looked.has(seenAs(one))) loadLastTest(one);
  }, 60);
}

export function setHours(hours) {
  state.hours = hours;
  state.hover = -1;
  changed();
}

export function newConnection(values = {}) {
  if (mayWrite()) openDialog({ kind: 'editor', mode: 'add', values });
}

/** Open the form; `takes` is a suggestion of a test that is applied there immediately. */
export function editConnection(connection, takes = null) {
  if (mayWrite()) openDialog({ kind: 'editor', mode: 'edit', original: connection, takes });
}

// --- keys

function typing(target) {
  return target.closest('input, textarea, select, [contenteditable]');
}

function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || state.dialog || typing(event.target)) return;
  const one = state.route.at === 'connections' ? selected() : undefined;
  const keys = {
    n: () => newConnection(),
    t: () => one && testConnection(one),
    e: () => one && editConnection(one),
    '/': () => document.querySelector('[data-filter]')?.focus(),
  };
  if (keys[event.key]) {
    event.preventDefault();
    keys[event.key]();
  }
}

export function onListKey(event) {
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  const row = event.target.closest('[data-row]');
  if (!step || !row) return;
  const next = step > 0 ? row.nextElementSibling : row.previousElementSibling;
  if (!next?.dataset.row) return;
  event.preventDefault();
  const { part } = event.target.closest('[data-part]').dataset;
  if (wide()) go('connections', next.dataset.row, true);
  next.querySelector(`[data-part="${part}"]`).focus();
}

// --- start

async function enter() {
  const given = new URLSearchParams(location.hash.slice(1));
  const token = given.get('token');
  if (token) {
    // Removed immediately, because an address may be copied, bookmarked or synchronised.
    history.replaceState(null, '', '/#/');
    try {
      secret = '';
      secret = (await ask('session', { token })).secret;
      sessionStorage.setItem('secret', secret);
    } catch {
      return;
    }
  } else {
    secret = sessionStorage.getItem('secret') ?? '';
    if (!secret) {
      lost('unknown-tab');
      return;
    }
  }
  const name = given.get('name') ?? '';
  const at = given.get('at');
  if (at === 'show' || at === 'edit') go('connections', name, true);
  route();
  followDaemon(false);
  if (at === 'add' || at === 'edit') await arrive(at, name);
}

/** Open the form that the address names, when its data are loaded. */
async function arrive(at, name) {
  for (let tries = 0; tries < 100 && !(live() && state.providers.length); tries += 1) {
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  if (at === 'add') newConnection();
  else if (byName(name)) editConnection(byName(name));
}

/** Start the page: draw with these functions, and follow the daemon. `unsaved`: whether a dialog has typed text. */
export function begin(page, dialogs, unsaved) {
  looks = { page, dialogs };
  window.addEventListener('beforeunload', (event) => {
    if (state.dialog && unsaved(state.dialog)) event.preventDefault();
  });
  window.addEventListener('hashchange', route);
  window.addEventListener('popstate', route);
  window.addEventListener('keydown', onKey);
  window.addEventListener('scroll', afterwards, { passive: true });
  window.addEventListener('resize', changed);
  document.addEventListener('click', (event) => {
    for (const menu of document.querySelectorAll('details.more[open]')) {
      if (!menu.contains(event.target) || event.target.closest('button')) menu.open = false;
    }
  });
  document.addEventListener('pointerdown', () => { held = null; }, true);
  document.addEventListener('focusin', ({ target }) => {
    held = target;
    for (const menu of document.querySelectorAll('details.more[open]')) if (!menu.contains(target)) menu.open = false;
  });
  document.addEventListener('keydown', (event) => {
    const menu = document.querySelector('details.more[open]');
    if (event.key === 'Escape' && menu) {
      menu.open = false;
      menu.querySelector('summary').focus();
    }
  });
  new ResizeObserver(() => {
    const chart = document.querySelector('.chart');
    const width = Math.round(chart?.clientWidth ?? 0);
    if (width && Math.abs(width - state.chartWidth) > 4) {
      state.chartWidth = width;
      changed();
    }
  }).observe(document.body);
  setInterval(() => {
    if (document.hidden) return;
    if (live()) loadMore(state.route.at);
    changed();
  }, 15000);
  setInterval(() => {
    if (document.hidden || !live()) return;
    looked.clear();
    const one = selected();
    if (one) loadHistories([one.name], state.hours);
  }, 60000);
  enter();
}
