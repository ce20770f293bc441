// Draws the page for the state. The actions of clicks are in app.js.

import { html, svg, nothing } from './lit-html.js';
import * as app from './app.js';

const { state } = app;

// --- texts

export const ms = (value) =>
  value == null ? '' : value < 1000 ? `${Math.round(value)} ms` : `${(value / 1000).toFixed(value < 10000 ? 1 : 0)} s`;

export const WHOLE = new Intl.NumberFormat();

export const many = (n, one, more = `${one}s`) => `${WHOLE.format(n)} ${n === 1 ? one : more}`;

// The text of a screen whose data were not loaded before the daemon was lost.
export const notTold = () => (app.live() ? 'Loading …' : 'Not known yet.');

const UNITS = [['day', 86400], ['h', 3600], ['min', 60]];

/** A duration in the largest unit; empty below a minute. */
export function span(seconds) {
  for (const [unit, size] of UNITS) {
    const n = Math.floor(seconds / size);
    if (n >= 1) return `${n} ${unit}${unit === 'day' && n > 1 ? 's' : ''}`;
  }
  return '';
}

export function ago(moment) {
  if (!moment) return '';
  const words = span(Math.max(0, (state.now - Date.parse(moment)) / 1000));
  return words ? `${words} ago` : 'just now';
}

const TIME = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit' });
const DAY = new Intl.DateTimeFormat(undefined, { weekday: 'short' });
const DATE = new Intl.DateTimeFormat(undefined, { month: 'short', day: 'numeric', hour: '2-digit', minute: '2-digit' });

export function clock(moment) {
  const at = new Date(moment);
  return Math.abs(state.now - at) < 20 * 3600e3 ? TIME.format(at) : DATE.format(at);
}

const NAME_LENGTH = 64; // in characters; the daemon refuses longer names

const host = (url) => {
  try {
    return new URL(url).host;
  } catch {
    return url;
  }
};

export const providerName = (connection) => {
  const wanted = connection.preset || connection.provider;
  return shortName(state.providers.find((one) => one.name === wanted)?.display_name ?? wanted);
};

/** Whether CSS can hide typed text; otherwise a password field is needed, which browsers treat as a login. */
export const SECURE = window.CSS?.supports?.('-webkit-text-security', 'disc');

/** A name without the part in parentheses, for lists. */
export const shortName = (text) => text.replace(/ \(.*\)$/, '');

// --- icons

const ICONS = {
  star: svg`<path d="M12 3.6l2.6 5.3 5.8.8-4.2 4.1 1 5.8-5.2-2.8-5.2 2.8 1-5.8L3.6 9.7l5.8-.8z"/>`,
  pencil: svg`<path d="M4.5 19.5l.8-4L15.6 5.200a1.700 1.700 0 0 1 2.400 0l.8.8a1.700 1.700 0 0 1 0 2.400L8.500 18.700z M13.500 7.300l3.200 3.200"/>`,
  plus: svg`<path d="M12 5v14M5 12h14"/>`,
  more: svg`<path d="M6 12h.01M12 12h.01M18 12h.01"/>`,
  check: svg`<path d="M5 12.500l4.500 4.500L19 7.500"/>`,
  cross: svg`<path d="M6.500 6.500l11 11M17.500 6.500l-11 11"/>`,
  back: svg`<path d="M14.500 5.500L8 12l6.500 6.500"/>`,
  folder: svg`<path d="M3.500 7.500a2 2 0 0 1 2-2h3.700l2 2.300h7.300a2 2 0 0 1 2 2v7a2 2 0 0 1-2 2h-13a2 2 0 0 1-2-2z"/>`,
  tag: svg`<path d="M4 11.500V5.500A1.500 1.500 0 0 1 5.500 4h6L20 12.500 12.500 20z M8.500 8.500h.01"/>`,
  lock: svg`<path d="M6 11h12v8.500H6z M8.500 11V8a3.500 3.500 0 0 1 7 0v3"/>`,
  warn: svg`<path d="M12 4l9 15.500H3z M12 10v4.500M12 17h.01"/>`,
  away: svg`<path d="M12 4v8M7 6.800a7.500 7.500 0 1 0 10 0"/>`,
  pause: svg`<path d="M9 6v12M15 6v12"/>`,
  eye: svg`<path d="M2.500 12S6 5.500 12 5.500 21.500 12 21.500 12 18 18.500 12 18.500 2.500 12 2.500 12z M12 9.200a2.800 2.800 0 1 0 0 5.600 2.800 2.800 0 0 0 0-5.600z"/>`,
  closed: svg`<path d="M4 4l16 16M9.900 5.800a9 9 0 0 1 2.100-.3c6 0 9.500 6.500 9.500 6.500a17 17 0 0 1-3.100 3.800M6.200 7.500A16 16 0 0 0 2.500 12S6 18.500 12 18.500a9 9 0 0 0 4.200-1.100"/>`,
  program: svg`<path d="M3.500 5.500h17v13h-17z M7 10l2.500 2.200L7 14.500M12 14.500h4.500"/>`,
  plug: svg`<path d="M9 3.500v5M15 3.500v5M6.500 8.500h11v3a5.500 5.500 0 0 1-11 0z M12 17v3.500"/>`,
  key: svg`<path d="M8 11.500a4 4 0 1 0 0 8 4 4 0 0 0 0-8z M11 12.500L19.500 4M16 7.500l2.500 2.500"/>`,
};

export const icon = (name, filled = false) =>
  html`<svg class="icon ${filled ? 'filled' : ''}" viewBox="0 0 24 24" aria-hidden="true" focusable="false">${ICONS[name]}</svg>`;

const LIGHTS = {
  healthy: svg`<circle cx="8" cy="8" r="5.500"/>`,
  limited: svg`<circle class="line" cx="8" cy="8" r="5"/><path d="M8 3a5 5 0 0 0 0 10z"/>`,
  unhealthy: svg`<path class="line" d="M4 4l8 8M12 4l-8 8"/>`,
  unknown: svg`<circle class="line" cx="8" cy="8" r="5"/>`,
};

export const light = (name) => html`<svg class="light" viewBox="0 0 16 16" aria-hidden="true" focusable="false">${LIGHTS[name]}</svg>`;

const TILES = {
  openai: ['AI', 'green'],
  anthropic: ['An', 'clay'],
  google: ['G', 'blue'],
  ollama: ['Ol', 'grey'],
  custom: ['{ }', 'violet'],
};
const HUES = ['teal', 'rose', 'amber', 'indigo', 'green', 'blue', 'clay', 'violet'];

export function tile(provider, preset = '', large = false) {
  const found = preset ? null : TILES[provider];
  const label = state.providers.find((one) => one.name === preset)?.display_name ?? preset;
  const hue = found?.[1] ?? HUES[[...preset].reduce((sum, c) => sum + c.codePointAt(0), 0) % HUES.length];
  const letters = found?.[0] ?? (app.capital(label.replace(/[^A-Za-z]/g, '').slice(0, 2)) || '{ }');
  return html`<span class="tile ${hue} ${large ? 'large' : ''}" aria-hidden="true">${letters}</span>`;
}

// --- the frame

export function page() {
  if (state.link === 'unknown-tab') return full('lock', 'This tab is not known', UNKNOWN_TAB);
  if (state.link === 'gone') return full('plug', 'The settings were closed', GONE);
  if (state.link === 'elsewhere') return full('program', 'It is open elsewhere', elsewhere());
  if (!state.status && state.link === 'connecting') return html`<div class="waiting" aria-hidden="true"></div>`;
  const empty = !state.connections.length && state.status;
  return html`
    ${header(empty)}
    ${banners()}
    <main class=${state.link === 'away' ? 'stale' : ''} tabindex="-1">
      ${state.status ? screen(empty) : nothing}
    </main>
    ${state.toast?.dialog ? nothing : bubble()}
  `;
}

function screen(empty) {
  if (state.route.at === 'import') return state.importing?.screen() ?? html`<div class="waiting" aria-hidden="true"></div>`;
  if (app.isLater(state.route.at)) return state.more.screens[state.route.at]?.() ?? html`<div class="waiting" aria-hidden="true"></div>`;
  return empty ? first() : connections();
}

const UNKNOWN_TAB = html`<p>The address of this page is good for one tab and one minute. Open the settings again: from the tray
  with <b>Settings…</b>, or with <code>nexoctl settings</code>.</p>`;
const GONE = html`<p>The program behind this page has ended. Nothing is lost. Open the settings again: from the tray with
  <b>Settings…</b>, or with <code>nexoctl settings</code>.</p>`;
const elsewhere = () => html`<p>Three tabs can be open at a time.</p>
  <p><button class="primary" @click=${app.continueHere}>Continue here</button></p>`;

const full = (name, title, text) => html`<main class="full"><div class="panel">
  <span class="emblem">${icon(name)}</span><h1>${title}</h1>${text}</div></main>`;

function header(empty) {
  const one = app.theDefault();
  const tab = (at, text) => html`<a href="#/${at === 'connections' ? '' : at}" class="tab"
    aria-current=${state.route.at === at ? 'page' : at === 'connections' && state.route.at === 'import' ? 'true' : nothing}>${text}</a>`;
  return html`<header>
    <div class="brand">
      <svg class="mark" viewBox="0 0 32 32" aria-hidden="true"><rect width="32" height="32" rx="9"/><path d="M10 22V10l12 12V10"/></svg>
      <div>
        <h1>LLM Connections</h1>
        <p class="sub">${one ? html`Programs get <b>${one.name}</b> unless bound to another` : 'No default is chosen'}</p>
      </div>
    </div>
    <nav aria-label="Settings">${tab('connections', 'Connections')}${tab('workspaces', 'Workspaces')}${tab('usage', 'Usage')}${tab('handouts', 'Hand-outs')}${tab('upkeep', 'Upkeep')}</nav>
    <div class="tools">
      ${empty || state.route.at !== 'connections' ? nothing : html`<button class="quiet-narrow" ?disabled=${!app.live() || state.busy.has('check')}
        @click=${app.checkAll}>${state.busy.has('check') ? 'Testing…' : 'Test all'}</button>`}
      <button class="primary" ?disabled=${!app.mayWrite()} @click=${() => app.newConnection()} aria-keyshortcuts="n" aria-label="Add connection">
        ${icon('plus')}<span>Add connection</span></button>
    </div>
  </header>`;
}

function banners() {
  const { status } = state;
  const found = state.link === 'away' ? [away()] : [];
  if (app.live() && status) {
    if (status.vault.state !== 'unlocked') {
      const words = { locked: 'The vault is locked.', key_lost: 'The key of the vault is missing.', tampered: 'Secrets were changed.' };
      const can = ['locked', 'key_lost'].includes(status.vault.state);
      found.push(banner('warn', 'lock', words[status.vault.state] ?? 'The vault is not open.', vaultWords(status.vault),
        can && { label: state.busy.has('unlock') ? 'Unlocking…' : 'Unlock', run: app.unlock, busy: state.busy.has('unlock') }));
    } else if (status.vault.problem) {
      found.push(banner('warn', 'lock', 'The vault will not unlock again.', app.capital(status.vault.problem)));
    }
    if (status.store.state !== 'read_write') {
      const { problem, advice } = status.store;
      // The problem may already contain the advice.
      const said = problem.includes(advice) ? [problem] : [problem, advice];
      found.push(banner('warn', 'warn', 'The store is read-only.', said.filter(Boolean).map(app.capital).join('. '),
        { label: 'Restore…', run: app.restoreNewest, busy: state.busy.has('restore') }));
    }
    if (status.offline_since) {
      found.push(banner('calm', 'plug', 'This computer is offline.', 'Nothing is wrong with the connections; they are checked again once the network is back.'));
    }
    if (status.checks_paused) {
      found.push(banner('calm', 'pause', 'Checks are paused.', 'The states shown are not updated.', { label: 'Resume', run: () => app.pauseChecks(false) }));
    }
  }
  return found.length ? html`<div class="banners">${found}</div>` : nothing;
}

function away() {
  const ended = ['DAEMON_NOT_RUNNING', 'SHUTTING_DOWN'].includes(state.problem.reason);
  const action = app.remedy(state.problem);
  const busy = state.busy.has('start');
  return banner('bad', 'away', ended ? 'The daemon is not running.' : app.sentence(state.problem), 'This is the last known state.',
    action && { ...action, label: busy ? 'Starting…' : action.label, busy });
}

const KEEP_TYPED = 'Copy what you need from here, then open the settings again.';

/** Why the buttons of a dialog do not work, because the page that says so is behind it. */
export function hindrance() {
  switch (state.link) {
    case 'away': return away();
    case 'gone': return banner('bad', 'plug', 'The settings were closed.', KEEP_TYPED);
    case 'unknown-tab': return banner('bad', 'lock', 'This tab is not known.', KEEP_TYPED);
    case 'elsewhere': return banner('calm', 'program', 'It is open elsewhere.', 'Three tabs can be open at a time.', { label: 'Continue here', run: app.continueHere });
    default: return nothing;
  }
}

// The hint with a command is left out, because there is a button.
const vaultWords = (vault) => vault.state === 'locked'
  ? `${app.capital(vault.problem.split('; nexoctl ')[0])}. Programs get no keys until it is unlocked.`.replace(/^\. /, '')
  : app.capital(vault.problem);

const banner = (kind, name, title, text, action) => html`<div class="banner ${kind}" role="status">
  ${icon(name)}<div><b>${title}</b><span> ${text}</span></div>
  ${action ? html`<button ?disabled=${action.busy} @click=${action.run}>${action.label}</button>` : nothing}
</div>`;

/** The message about the last action. A dialog draws its own, because the page is inert behind it. */
export const bubble = () => {
  const { toast } = state;
  if (!toast) return nothing;
  return html`<section aria-label="Message" class="toast ${toast.bad ? 'bad' : ''}">
    <span>${toast.text}</span>
    ${toast.action ? html`<button @click=${() => { app.closeToast(); toast.action.run(); }}>${toast.action.label}</button>` : nothing}
    <button class="bare" aria-label="Close this message" @click=${app.closeToast}>${icon('cross')}</button>
  </section>`;
};

const first = () => html`<section class="empty">
  <span class="emblem">${icon('plug')}</span>
  <h2>No connection yet</h2>
  <p>Add the account that your programs use. It is tested first, and its key is stored encrypted on this computer.</p>
  <p class="choices"><button class="primary" ?disabled=${!app.mayWrite()} @click=${() => app.newConnection()}>${icon('plus')}<span>Add connection</span></button>
    <button @click=${app.openImport}>Import…</button></p>
  <p class="faint"><b>Import</b> copies connections from other programs on this computer.</p>
</section>`;

// --- the list

export function shownConnections() {
  const wanted = state.filter.trim().toLowerCase();
  return state.connections.filter((one) =>
    !wanted || `${one.name} ${providerName(one)} ${one.base_url}`.toLowerCase().includes(wanted));
}

function connections() {
  const one = app.selected();
  const open = Boolean(state.route.name && one);
  const shown = shownConnections();
  return html`<div class="columns ${open ? 'open' : ''}">
    <section class="side" aria-label="Connections">
      ${state.connections.length > 8 ? html`<input class="filter" data-filter type="search" placeholder="Filter" aria-label="Filter the connections"
        .value=${state.filter} @input=${(e) => { state.filter = e.target.value; app.changed(); }}>` : nothing}
      <ul class="list card" @keydown=${app.onListKey}>
        ${shown.map((each) => row(each, each === one, each === (one && shown.includes(one) ? one : shown[0])))}
        ${shown.length ? nothing : html`<li class="none">Nothing matches “${state.filter}”.</li>`}
      </ul>
      <button class="import-more" @click=${app.openImport}>Import…</button>
    </section>
    <section class="details" aria-label="Details">${one ? details(one) : nothing}</section>
  </div>`;
}

function look(connection) {
  const { health } = connection;
  if (!connection.enabled) return { kind: 'unknown', text: 'switched off', full: 'Switched off' };
  if (!app.live()) {
    const was = health.last_known ?? health.state;
    const words = { healthy: 'worked', limited: 'was limited', unhealthy: 'was failing', unknown: 'not known' }[was];
    return { kind: 'unknown', text: words, full: app.capital(words) };
  }
  if (health.state === 'healthy') return { kind: 'healthy', text: ms(health.latency_ms) || 'works', full: 'Works' };
  return { kind: health.state, text: health.phrase || 'not known', full: app.capital(health.phrase || 'not known') };
}

const starred = (connection) => (state.starred ? state.starred === connection.id : connection.is_default);

function row(connection, chosen, stop) {
  const { kind, text } = look(connection);
  const star = starred(connection);
  const tab = stop ? 0 : -1;
  const running = state.tests.get(connection.id)?.running;
  return html`<li class="row ${chosen ? 'chosen' : ''} ${connection.enabled ? '' : 'off'}" data-row=${connection.name}>
    <button class="star bare" data-part="star" tabindex=${tab} aria-pressed=${star ? 'true' : 'false'}
      aria-label=${`Default: ${connection.name}`} title=${star ? 'The default' : 'Make it the default'}
      ?disabled=${!app.mayWrite() || !connection.enabled} @click=${() => app.makeDefault(connection)}>${icon('star', star)}</button>
    <button class="pick" data-part="pick" tabindex=${tab} aria-current=${chosen ? 'true' : nothing}
      @click=${() => app.go('connections', connection.name)}>
      ${tile(connection.provider, connection.preset)}
      <span class="who"><span class="name">${connection.name}</span>
        <span class="sub">${providerName(connection)} · ${host(connection.base_url)}</span></span>
      <span class="state ${running ? 'unknown' : kind}">
        <span class="word">${light(running ? 'unknown' : kind)}${kind === 'healthy' ? html`<span class="unseen">works, </span>` : nothing}${running ? 'testing…' : text}</span>
        ${spark(state.histories.get(`${connection.name}|24`))}
      </span>
    </button>
    <button class="edit bare" data-part="edit" tabindex=${tab} aria-label=${`Edit ${connection.name}`} title="Edit"
      ?disabled=${!app.mayWrite()} @click=${() => app.editConnection(connection)}>${icon('pencil')}</button>
  </li>`;
}

// --- charts

const KINDS = { o: 'good', '!': 'soft', x: 'bad', '-': 'none' };

/** Group equal neighbours: [kind, first, count]. */
function runs(lights) {
  const found = [];
  [...lights].forEach((kind, at) => {
    const last = found.at(-1);
    if (last?.[0] === kind) last[2] += 1;
    else found.push([kind, at, 1]);
  });
  return found;
}

/** SVG paths of the latencies, interrupted where a value is missing. */
function paths(latencies, x, y, bottom) {
  const lines = [];
  let run = [];
  const flush = () => {
    if (run.length) lines.push(run);
    run = [];
  };
  latencies.forEach((value, at) => (value == null ? flush() : run.push([x(at), y(value)])));
  flush();
  const text = (points) => points.map(([a, b]) => `${a.toFixed(1)} ${b.toFixed(1)}`).join(' L');
  return {
    line: lines.map((points) => (points.length > 1 ? `M${text(points)}` : `M${text(points)} h0.01`)).join(' '),
    area: bottom == null ? '' : lines.filter((points) => points.length > 1)
      .map((points) => `M${points[0][0].toFixed(1)} ${bottom} L${text(points)} L${points.at(-1)[0].toFixed(1)} ${bottom} Z`).join(' '),
  };
}

function spark(past) {
  const width = 112;
  if (!past) return html`<svg class="spark" viewBox="0 0 ${width} 24" aria-hidden="true"><rect class="none" y="20" width=${width} height="4" rx="2"/></svg>`;
  const n = past.lights.length;
  const top = Math.max(...past.latency_ms.map((value) => value ?? 0), 1);
  const { line } = paths(past.latency_ms, (at) => ((at + 0.5) / n) * width, (value) => 16 - (value / top) * 13);
  return html`<svg class="spark" viewBox="0 0 ${width} 24" aria-hidden="true">
    <path d=${line || 'M0 0'}/>
    ${runs(past.lights).map(([kind, at, count]) => svg`<rect class=${KINDS[kind]} x=${((at / n) * width).toFixed(2)} y="20" width=${((count / n) * width).toFixed(2)} height="4"/>`)}
  </svg>`;
}

const STEPS = [10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 20000, 50000];

function chart(connection) {
  const past = state.histories.get(`${connection.name}|${state.hours}`);
  const percent = past?.uptime == null ? '–' : `${(past.uptime * 100).toFixed(past.uptime > 0.9995 || past.uptime < 0.1 ? 0 : 1)} %`;
  const figure = (value, words) => html`<div><dd>${value || '–'}</dd><dt>${words}</dt></div>`;
  const span = (hours, text) => html`<button aria-pressed=${state.hours === hours ? 'true' : 'false'} @click=${() => app.setHours(hours)}>${text}</button>`;
  return html`<section class="card chart-card" aria-label="History">
    <div class="chart-head">
      <dl class="figures">${figure(percent, 'uptime')}${figure(ms(past?.latency_p50_ms), 'median')}${figure(ms(past?.latency_p95_ms), '95 % below')}</dl>
      <div class="segments" role="group" aria-label="Time shown">${span(24, '24 h')}${span(168, '7 d')}</div>
    </div>
    <div class="chart">${past ? drawing(connection, past) : html`<div class="hole">${app.live() ? nothing : notTold()}</div>`}</div>
    ${past?.transitions.length ? html`<details class="changes"><summary>${many(past.transitions.length, 'change')} of health</summary>
      <ol>${past.transitions.toReversed().map((one) => html`<li><span class="state ${one.to}">${light(one.to)}<b>${one.to === 'healthy' ? 'works' : one.phrase || one.to}</b></span>
        <span class="faint">${one.evidence}</span><time datetime=${one.at}>${clock(one.at)}</time></li>`)}</ol></details>` : nothing}
  </section>`;
}

function drawing(connection, past) {
  const width = state.chartWidth;
  const [left, right, top, bottom, height] = [54, 2, 10, 118, 158];
  const n = past.lights.length;
  const each = (width - left - right) / n;
  const most = Math.max(...past.latency_ms.map((value) => value ?? 0), 1);
  const step = STEPS.find((one) => one * 2 >= most) ?? most / 2;
  const y = (value) => bottom - (value / (step * 2)) * (bottom - top);
  const x = (at) => left + (at + 0.5) * each;
  const { line, area } = paths(past.latency_ms, x, y, bottom);
  const start = Date.parse(past.start);
  const moment = (at) => new Date(start + at * past.slice_s * 1000);
  const shown = state.hover;
  const point = (event) => {
    const box = event.currentTarget.getBoundingClientRect();
    const at = Math.floor(((event.clientX - box.left) / box.width * width - left) / each);
    hover(at >= 0 && at < n ? at : -1);
  };
  const key = (event) => {
    const move = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!move) return;
    event.preventDefault();
    hover(Math.min(n - 1, Math.max(0, (state.hover < 0 ? n : state.hover) + move)));
    app.say(slice(past, state.hover, moment));
  };
  return html`<svg viewBox="0 0 ${width} ${height}" role="img" tabindex="0" aria-label=${summary(connection, past)}
      @pointermove=${point} @pointerleave=${() => hover(-1)} @keydown=${key} @blur=${() => hover(-1)}>
    ${[2, 1, 0].map((k) => svg`<line class="grid" x1=${left} x2=${width - right} y1=${y(step * k)} y2=${y(step * k)}/>
      <text x=${left - 8} y=${y(step * k) + 4} text-anchor="end">${k ? ms(step * k) : '0'}</text>`)}
    ${area ? svg`<path class="area" d=${area}/>` : nothing}${line ? svg`<path class="line" d=${line}/>` : nothing}
    ${runs(past.lights).map(([kind, at, count]) => svg`<rect class=${KINDS[kind]} x=${(left + at * each + 0.5).toFixed(2)} y="128" rx="2"
      width=${Math.max(1, count * each - 1).toFixed(2)} height="10"/>`)}
    ${ticks(start, past, n).map(([at, text]) => svg`<text x=${left + at * each} y="154" text-anchor="middle">${text}</text>`)}
    ${shown >= 0 ? svg`<line class="cursor" x1=${x(shown)} x2=${x(shown)} y1=${top} y2="138"/>
      ${past.latency_ms[shown] == null ? nothing : svg`<circle class="dot" cx=${x(shown)} cy=${y(past.latency_ms[shown])} r="4"/>`}` : nothing}
  </svg>
  <p class="readout" aria-hidden="true">${shown >= 0 ? slice(past, shown, moment) : html`&nbsp;`}</p>`;
}

function hover(at) {
  if (state.hover === at) return;
  state.hover = at;
  app.changed();
}

const SLICES = { o: 'every check succeeded', '!': 'rate limited', x: 'a check failed', '-': 'no check' };

function slice(past, at, moment) {
  const from = moment(at);
  const day = past.slice_s > 3600 ? `${DAY.format(from)} ` : '';
  const latency = past.latency_ms[at];
  return `${day}${TIME.format(from)} – ${TIME.format(moment(at + 1))}: ${latency == null ? '' : `${ms(latency)}, `}${SLICES[past.lights[at]]}`;
}

function ticks(start, past, n) {
  const found = [];
  const every = past.slice_s > 3600 ? 24 : state.chartWidth < 420 ? 8 : 4;
  const at = new Date(start);
  at.setMinutes(0, 0, 0);
  at.setHours(Math.ceil((at.getHours() + 1) / every) * every);
  for (; at.getTime() < start + n * past.slice_s * 1000; at.setHours(at.getHours() + every)) {
    const place = (at.getTime() - start) / 1000 / past.slice_s;
    if (place > n * 0.03 && place < n * 0.97) found.push([place, every === 24 ? DAY.format(at) : TIME.format(at)]);
  }
  return found;
}

function summary(connection, past) {
  const checked = [...past.lights].filter((one) => one !== '-').length;
  if (!checked) return `${connection.name} was not checked in this time.`;
  const bad = [...past.lights].filter((one) => one === 'x').length;
  const share = past.uptime == null ? '' : `up ${(past.uptime * 100).toFixed(1)} % of the time, `;
  return `${connection.name}, last ${state.hours === 24 ? '24 hours' : '7 days'}: ${share}median ${ms(past.latency_p50_ms) || 'not known'}, ` +
    (bad ? `failures in ${bad} of ${past.lights.length} slices.` : 'no failed check.');
}

// --- the details

function details(connection) {
  const test = state.tests.get(connection.id);
  const may = app.mayWrite();
  return html`
    <div class="title">
      <button class="bare back" aria-label="Back to the list" @click=${() => app.go('connections')}>${icon('back')}</button>
      ${tile(connection.provider, connection.preset, true)}
      <div class="naming"><h2>${connection.name}</h2>
        <p>${starred(connection) ? html`<span class="badge gold">${icon('star', true)}default</span>` : nothing}${connection.enabled ? nothing : html`<span class="badge">switched off</span>`}
          <span class="faint">${providerName(connection)}</span></p></div>
      <div class="tools">
        <button ?disabled=${!app.live() || test?.running} aria-keyshortcuts="t" @click=${() => app.testConnection(connection)}>${test?.running ? 'Testing…' : 'Test'}</button>
        <button ?disabled=${!may} aria-keyshortcuts="e" @click=${() => app.editConnection(connection)}>Edit</button>
        <details class="more"><summary aria-label="More" title="More">${icon('more')}</summary>
          <div class="menu">
            <button ?disabled=${!may || !connection.enabled || connection.is_default} @click=${() => app.makeDefault(connection)}>Make it the default</button>
            <button ?disabled=${!may} @click=${() => app.setEnabled(connection, !connection.enabled)}>${connection.enabled ? 'Switch off' : 'Switch on'}</button>
            <button ?disabled=${!may} @click=${() => app.newConnection(copyOf(connection))}>Duplicate…</button>
            <button class="danger" ?disabled=${!may} @click=${() => app.openDialog({ kind: 'remove', connection, move: '', problem: null })}>Remove…</button>
          </div></details>
      </div>
    </div>
    ${verdict(connection)}
    ${test ? testCard(connection, test) : nothing}
    ${chart(connection)}
    ${fields(connection)}
    ${users(connection)}`;
}

/** The name itself if no connection has it, otherwise with the first free number. */
export function freeName(wanted) {
  const names = new Set(state.connections.map((one) => one.name.toLowerCase()));
  for (let n = 1; ; n += 1) {
    const end = n > 1 ? `-${n}` : '';
    const name = [...wanted].slice(0, NAME_LENGTH - end.length).join('') + end;
    if (!names.has(name.toLowerCase())) return name;
  }
}

function copyOf(connection) {
  return {
    name: freeName(connection.name),
    choice: connection.preset || connection.provider,
    base_url: connection.base_url,
    default_model: connection.default_model,
    model_map: connection.model_map,
    network: connection.network,
    reference: connection.key.source === 'reference' ? connection.key.reference : '',
    copied: connection,
  };
}

function verdict(connection) {
  const { health } = connection;
  const { kind, full: words } = look(connection);
  const since = health.since && connection.enabled && app.live() ? ` since ${clock(health.since)}` : '';
  const facts = [];
  if (kind === 'healthy' && health.latency_ms != null) facts.push(ms(health.latency_ms));
  if (health.retry_at && Date.parse(health.retry_at) > state.now) facts.push(`not before ${clock(health.retry_at)}`);
  const times = [];
  if (health.checked_at) times.push(`Checked ${ago(health.checked_at)}`);
  if (connection.enabled && app.live() && health.next_check_at && Date.parse(health.next_check_at) > state.now) times.push(`next at ${clock(health.next_check_at)}`);
  return html`<section class="verdict ${kind}" aria-label="State">
    ${light(kind)}
    <div><p><b>${words}</b>${since}${facts.map((one) => `, ${one}`).join('')}</p>
      ${health.advice && connection.enabled && app.live() ? html`<p>${health.advice}</p>` : nothing}
      <p class="faint">${times.length ? `${times.join(', ')}. ` : ''}${connection.checks_paused ? 'Its checks are paused.' : 'Checks use no tokens.'}</p></div>
  </section>`;
}

const LAYERS = {
  configuration: 'Settings are valid',
  dns: 'Host name resolved',
  tcp: 'Server reachable',
  tls: 'TLS connection made',
  http: 'Responds like the provider',
  authenticated: 'Key accepted',
  model_listed: 'Model listed',
  completion: 'Completion works',
};

/** The layers of a test that have finished, and the one that is running. */
export function layers(test) {
  const done = test.layers.filter((one) => one.status !== 'skipped' && !(one.layer === 'completion' && one.status === 'not_reached'));
  const seen = new Set(test.layers.map((one) => one.layer));
  const next = test.running ? Object.keys(LAYERS).find((one) => !seen.has(one) && one !== 'completion') : null;
  const marks = { passed: icon('check'), failed: icon('cross') };
  return html`<ol class="layers">${done.map((one) => html`<li class=${one.status}>
      <span class="sign">${marks[one.status] ?? '·'}</span>
      <span class="what"><span>${LAYERS[one.layer] ?? one.layer}<span class="unseen">: ${one.status.replace('_', ' ')}</span></span>${one.evidence ? html`<span class="faint">${one.evidence}</span>` : nothing}</span>
      <span class="faint time">${one.status === 'passed' || one.status === 'failed' ? ms(one.ms) : ''}</span></li>`)}
    ${next ? html`<li class="running"><span class="sign"><span class="spinner"></span></span><span class="what">${LAYERS[next]}</span></li>` : nothing}</ol>`;
}

/** A button with the remedy for a problem, if there is one. */
export function remedyButton(problem) {
  const action = app.remedy(problem);
  return action ? html`<p><button @click=${action.run}>${action.label}</button></p>` : nothing;
}

/** The result of a test: success, or the problem and what to do. */
export function outcome(test, fixes = nothing) {
  if (test.problem) {
    return html`<div class="outcome bad"><b>Not tested</b><p>${app.sentence(test.problem)}</p>${remedyButton(test.problem)}${fixes}</div>`;
  }
  const { result } = test;
  if (!result) return nothing;
  if (result.ok) {
    const key = { verified: 'The key was verified', not_enforced: 'The server accepts any key', unverified: 'The key could not be verified', none: 'No key is needed' }[result.key];
    const n = result.models.length;
    const facts = [key, n ? `${n} ${n > 1 ? 'models' : 'model'}` : '', ms(result.elapsed_ms)].filter(Boolean).join(', ');
    return html`<div class="outcome good"><b>Success</b><p>${facts}.</p>${result.advice ? html`<p>${result.advice}</p>` : nothing}${fixes}</div>`;
  }
  const told = result.provider_message && !result.layers.some((one) => one.evidence.includes(result.provider_message));
  const soft = ['rate_limited', 'quota_exhausted'].includes(result.outcome);
  return html`<div class="outcome ${soft ? 'warn' : 'bad'}"><b>Failed: ${result.phrase}</b>
    ${result.advice ? html`<p>${result.advice}</p>` : nothing}
    ${told ? html`<p>It says: “${result.provider_message}”</p>` : nothing}
    ${result.request_id ? html`<p class="faint">Request ${result.request_id}</p>` : nothing}${fixes}</div>`;
}

/** Field of a suggestion → field of the form. */
export const APPLICABLE = { base_url: 'base_url', default_model: 'model', auth_scheme: 'authScheme', proxy: 'proxy' };

const takeable = (one) => one.fix || (one.value && (one.field in APPLICABLE || state.providers.some((each) => each.name === one.value)));

/** The suggestions of a test. One that can be applied and that `may` accepts has a button, which calls `take`. */
export const suggested = (found, may, take) => found.map((one) => html`<div class="suggestion"><p>${one.text}</p>${takeable(one) && may(one)
  ? html`<button @click=${() => take(one)}>${one.fix ? 'Clean it up and test' : html`Use <code>${one.value}</code> and test`}</button>` : nothing}</div>`);

/** The suggestions for a saved connection; they are applied in the form, where the user can save them. */
const suggestions = (connection, test) => suggested(test.result?.suggestions ?? [],
  (one) => app.mayWrite() && !(one.field === 'proxy' && connection.proxy_has_credentials), (one) => app.editConnection(connection, one));

const testCard = (connection, test) => html`<section class="card pad" aria-label="Test"><h3>${test.running ? 'Test' : 'Last test'}${test.at ? `, ${ago(test.at)}` : nothing}</h3>${layers(test)}${outcome(test, suggestions(connection, test))}${paid(connection, test)}</section>`;

/** The button for a completion, with its price. */
const paid = (connection, test) => {
  const { result } = test;
  if (!result?.price_note || result.layers.some((one) => one.layer === 'completion' && one.ok !== null)) return nothing;
  return html`<p class="paid"><button ?disabled=${!app.live() || test.running} @click=${() => app.testConnection(connection, true)}>Ask a model, too</button>
    <span class="faint">${result.price_note}</span></p>`;
};

const KEY = { verified: 'verified', not_enforced: 'the server accepts any key', unverified: 'not verified yet', none: '' };

function fields(connection) {
  const { key } = connection;
  const field = (name, value) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`;
  const mono = (text) => html`<code>${text}</code>`;
  const stored = key.source === 'none' ? html`<span class="faint">none</span>` :
    html`${key.source === 'reference' ? mono(key.reference) : html`<span class="dots" aria-label="stored">••••••••••••</span>`}
      <span class="faint">${[KEY[key.verdict], key.added_at && `added ${ago(key.added_at)}`].filter(Boolean).join(', ')}</span>`;
  return html`<section class="card pad" aria-label="Connection"><h3>Connection</h3><dl class="fields">
    ${field('Provider', providerName(connection))}
    ${field('API key', stored)}
    ${key.expires_at ? field('Key expires', clock(key.expires_at)) : nothing}
    ${field('Base URL', mono(connection.base_url))}
    ${field('Custom headers', connection.header_names.length ? html`${connection.header_names.map((name, at) => html`${at ? ', ' : ''}${mono(name)}`)}` : html`<span class="faint">none</span>`)}
    ${field('Default model', connection.default_model ? mono(connection.default_model) : html`<span class="faint">none</span>`)}
    ${connection.model_map.length ? field('Model names', connection.model_map.map(({ asked, sent }) => html`<div>${mono(asked)} → ${mono(sent)}</div>`)) : nothing}
    ${connection.network.proxy !== 'system' ? field('Proxy', mono(connection.network.proxy)) : nothing}
    ${connection.network.ca_bundle ? field('CA bundle', mono(connection.network.ca_bundle)) : nothing}
  </dl></section>`;
}

const HOW = { default: 'by the default', workspace: 'by its workspace', explicit: 'by name', environment: 'by NEXO_CONNECTION', fallback: 'as a stand-in' };

function users(connection) {
  const bound = state.bindings.filter((one) => one.connection === connection.name);
  const given = state.handouts.get(connection.name) ?? [];
  return html`<section class="card pad" aria-label="Who uses it"><h3>Who uses it</h3>
    <ul class="plain-list">
      ${connection.is_default ? html`<li>${icon('star')}<span>Everything that is not bound: it is the default</span></li>` : nothing}
      ${bound.map((one) => html`<li>${icon(one.workspace.path ? 'folder' : 'tag')}<span><code>${one.workspace.path ?? one.workspace.name}</code> is bound to it</span></li>`)}
      ${connection.is_default || bound.length ? nothing : html`<li class="faint">No workspace is bound to it.</li>`}
    </ul>
    <h3>Last hand-outs of the key</h3>
    ${given.length ? html`<ul class="plain-list handouts">${given.map((one) => html`<li>${icon('key')}
      <span><b>${one.client.program || one.client.name || 'a program'}</b> <span class="faint">process ${one.client.pid}${one.source ? `, ${HOW[one.source] ?? one.source}` : ''}${one.times > 1 ? `, ${one.times} times` : ''}</span></span>
      <time class="faint" datetime=${one.last_at}>${ago(one.last_at)}</time></li>`)}</ul>` : html`<p class="faint">None so far.</p>`}
  </section>`;
}
