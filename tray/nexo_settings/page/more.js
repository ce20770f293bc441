// The screens Usage and Hand-outs. Loaded on first use.

import { html, svg, nothing } from './lit-html.js';
import * as app from './app.js';
import { WHOLE, clock, icon, many, notTold } from './views.js';

const { state } = app;

const COUNT = new Intl.NumberFormat(undefined, { notation: 'compact', maximumFractionDigits: 1 });
const DATE = new Intl.DateTimeFormat(undefined, { month: 'short', day: 'numeric', timeZone: 'UTC' });

// --- usage

const SUMS = ['requests', 'failed', 'broken', 'left', 'input_tokens', 'output_tokens', 'cached_tokens', 'unreported'];

function grouped(rows, key) {
  const found = new Map();
  for (const row of rows) {
    const sums = found.get(row[key]) ?? { name: row[key] ?? 'removed', rows: [], ...Object.fromEntries(SUMS.map((one) => [one, 0])) };
    for (const one of SUMS) sums[one] += row[one];
    sums.rows.push(row);
    found.set(row[key], sums);
  }
  return [...found.values()].toSorted((a, b) => b.requests - a.requests);
}

export function usage() {
  const told = state.more.usage;
  const span = (days, text) => html`<button aria-pressed=${state.days === days ? 'true' : 'false'} @click=${() => app.setDays(days)}>${text}</button>`;
  return html`<div class="narrow">
    <section class="card pad" aria-label="Usage"><div class="chart-head"><h2>Usage</h2>
      <div class="segments" role="group" aria-label="Time shown">${span(7, '7 d')}${span(30, '30 d')}${span(365, '1 y')}</div></div>
      <p class="lead">Requests and tokens that went through the gateway, as the providers report them. Nothing is estimated, and no prompt or answer is stored.</p>
      ${told && !told.days.length ? html`<p class="faint">Nothing went through the gateway in this time. Start a program with <code>nexoctl run -- PROGRAM</code>,
        or set one up with <code>nexoctl gateway setup</code>.</p>` : told ? nothing : html`<p class="faint">${notTold()}</p>`}
    </section>
    ${told ? grouped(told.days, 'connection').map((one) => used(one, told.models.filter((each) => each.connection === one.rows[0].connection))) : nothing}
  </div>`;
}

function used(one, models) {
  const figure = (value, words) => html`<div><dd>${COUNT.format(value)}</dd><dt>${words}</dt></div>`;
  const bad = [one.failed && `${WHOLE.format(one.failed)} failed`, one.broken && `${WHOLE.format(one.broken)} interrupted`, one.left && `${WHOLE.format(one.left)} cancelled`];
  return html`<section class="card pad usage" aria-label=${`Usage of ${one.name}`}>
    <h2>${one.name}</h2>
    <dl class="figures">${figure(one.requests, one.requests === 1 ? 'request' : 'requests')}${figure(one.input_tokens, 'tokens in')}${figure(one.cached_tokens, 'of them cached')}${figure(one.output_tokens, 'tokens out')}</dl>
    ${bars(one)}
    <p class="faint">${[...bad, one.unreported && `${many(one.unreported, 'answer')} without token counts`].filter(Boolean).join(', ') || 'Every answer was complete and was counted.'}</p>
    ${models.length ? html`<h3>Models asked for</h3><table><thead><tr><th>Model</th><th class="n">Requests</th><th class="n">Tokens in</th><th class="n">Tokens out</th></tr></thead>
      <tbody>${models.toSorted((a, b) => b.requests - a.requests).slice(0, 12).map((each) => html`<tr><td><code>${each.model ?? 'no model named'}</code></td>
        <td class="n">${WHOLE.format(each.requests)}</td><td class="n">${COUNT.format(each.input_tokens)}</td><td class="n">${COUNT.format(each.output_tokens)}</td></tr>`)}</tbody></table>` : nothing}
  </section>`;
}

const DAY_S = 86400e3;

/** A bar for each day: input tokens, cached input tokens, output tokens. */
function bars(one) {
  const today = Math.floor(state.now / DAY_S);
  const days = Math.min(state.days, 90);
  const sums = Array.from({ length: days }, () => ({ fresh: 0, cached: 0, out: 0, requests: 0 }));
  for (const row of one.rows) {
    const at = days - 1 - (today - Math.floor(Date.parse(row.at) / DAY_S));
    if (!sums[at]) continue;
    sums[at].fresh += row.input_tokens - row.cached_tokens;
    sums[at].cached += row.cached_tokens;
    sums[at].out += row.output_tokens;
    sums[at].requests += row.requests;
  }
  const sum = (count) => sums.reduce((all, day) => all + count(day), 0);
  const most = Math.max(...sums.map((day) => day.fresh + day.cached + day.out), 1);
  const [width, height] = [700, 90];
  const each = width / days;
  const part = (at, kind, below, value) => {
    const size = (value / most) * height;
    return size ? svg`<rect class=${kind} x=${(at * each + each * 0.12).toFixed(1)} width=${(each * 0.76).toFixed(1)} y=${(height - below - size).toFixed(1)} height=${size.toFixed(1)}/>` : nothing;
  };
  const label = (at) => DATE.format(new Date((today - days + 1 + at) * DAY_S));
  const words = `${one.name}: ${many(sum((day) => day.requests), 'request')}, ${many(sum((day) => day.fresh + day.cached), 'token')} in, ${many(sum((day) => day.out), 'token')} out, ${label(0)} to ${label(days - 1)}.`;
  return html`<svg class="bars" viewBox="0 0 ${width} ${height + 1}" role="img" aria-label=${words}>
      <line class="grid" x1="0" x2=${width} y1=${height} y2=${height}/>
      ${sums.map((day, at) => {
        const [a, b, c] = [day.fresh, day.cached, day.out];
        const scaled = (value) => (value / most) * height;
        return svg`<g><title>${`${label(at)}: ${many(day.requests, 'request')}, ${WHOLE.format(a + b)} tokens in, ${WHOLE.format(b)} of them cached, ${WHOLE.format(c)} out`}</title>
          ${part(at, 'fresh', 0, a)}${part(at, 'cached', scaled(a), b)}${part(at, 'out', scaled(a + b), c)}</g>`;
      })}
    </svg>
    <p class="ends" aria-hidden="true"><span>${label(0)}</span><span>${label(days - 1)}</span></p>
    <p class="legend" aria-hidden="true"><span class="fresh"></span>in<span class="cached"></span>in, cached<span class="out"></span>out</p>`;
}

// --- hand-outs

const METHODS = {
  ResolveConnection: 'got the key', FollowConnection: 'follows with the key', RevealConnection: 'was shown the secrets',
};

export function handouts() {
  const told = state.more.handouts;
  const wanted = state.handoutFilter.trim().toLowerCase();
  const shown = (told?.handouts ?? []).filter((one) =>
    !wanted || [one.connection, one.client.program, one.client.name, one.client.pid, one.workspace].join(' ').toLowerCase().includes(wanted));
  return html`<div class="narrow"><section class="card pad" aria-label="Hand-outs"><h2>Hand-outs</h2>
    <p class="lead">The programs to which the daemon gave a secret. Repeated hand-outs to the same program within an hour are one line.</p>
    <input type="search" placeholder="Filter by connection, program or directory" aria-label="Filter the hand-outs" .value=${state.handoutFilter}
      @input=${(e) => { state.handoutFilter = e.target.value; app.changed(); }}>
    ${shown.length ? html`<ul class="plain-list record">${shown.map((one) => html`<li>${icon('key')}
        <span><b>${one.client.program || one.client.name || 'a program'}</b> <span class="faint">process ${one.client.pid}</span>
          <span class="what">${METHODS[one.method] ?? one.method} of <b>${one.connection}</b>${one.workspace ? html` in <code>${one.workspace}</code>` : nothing}${one.times > 1 ? `, ${WHOLE.format(one.times)} times` : ''}</span></span>
        <time class="faint" datetime=${one.last_at}>${clock(one.last_at)}</time></li>`)}</ul>`
      : html`<p class="faint">${!told ? notTold() : told.handouts.length ? 'Nothing matches.' : 'None so far.'}</p>`}
  </section></div>`;
}
