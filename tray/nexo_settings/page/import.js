// The import screen: select, test and import connections of other programs. Found keys stay in the server; the
// page refers to rows by their ids. Loaded on first use.

import { html, nothing } from './lit-html.js';
import * as app from './app.js';
import { SECURE, icon, layers, many, outcome, providerName, tile } from './views.js';

const { state } = app;

const found = {
  sources: null, // the server's answer; each row also has the user's input
  more: 0, // number of rows that are not shown
  until: 0, // when the server forgets the rows
  looking: false,
  problem: null,
  abort: null, // the AbortController of the running tests
};

const rows = () => (found.sources ?? []).flatMap((source) => source.rows);
const ticked = () => rows().filter((row) => row.ticked && !row.done);

// --- actions of clicks

/** Search, unless the last result is still valid. */
export function enter() {
  if (app.live() && !found.looking && !found.problem && Date.now() > found.until) look();
}

async function look() {
  if (found.looking) return;
  found.abort?.abort();
  Object.assign(found, { looking: true, problem: null });
  app.changed();
  try {
    const { sources, more, kept_s } = await app.ask('import_look');
    for (const row of sources.flatMap((source) => source.rows)) {
      Object.assign(row, { ticked: !row.lacks && !row.twin, part: '', test: null, problem: null, fixes: [], done: '' });
    }
    Object.assign(found, { sources, more, until: Date.now() + kept_s * 1000 });
    app.say(`${many(rows().length, 'connection')} found`);
  } catch (problem) {
    found.problem = problem;
  } finally {
    found.looking = false;
    app.changed();
  }
}

const asked = (some) => ({ rows: some.map((row) => ({ id: row.id, name: row.name.trim(), part: row.part.trim(), fixes: row.fixes, ticket: row.test?.result?.ticket ?? '' })) });

async function test(some) {
  if (found.abort || !some.length) return;
  const abort = new AbortController();
  Object.assign(found, { abort, problem: null });
  for (const row of some) Object.assign(row, { problem: null, test: { layers: [], result: null, problem: null, running: true, waiting: true } });
  app.changed();
  try {
    for await (const line of app.lines('import_test', asked(some), abort.signal)) {
      const row = some.find((one) => one.id === line.id);
      if (row?.test) tell(row, line);
      else found.problem = line.error ?? null;
      app.changed();
    }
  } catch (problem) {
    if (problem.name !== 'AbortError') found.problem = problem.reason ? problem : { message: 'The test was interrupted', hint: '' };
  }
  for (const row of some) if (row.test?.running) row.test = null;
  found.abort = null;
  app.changed();
  const done = some.filter((row) => row.test);
  if (done.length) app.say(app.worked(done.filter((row) => row.test.result?.ok).length, done.length));
}

function tell(row, line) {
  const { test: running } = row;
  running.waiting = false;
  if (line.layer) running.layers.push(line.layer);
  if (line.result) Object.assign(running, { result: line.result, running: false });
  if (line.error) Object.assign(running, { problem: line.error, running: false });
  // A connection that does not work is imported only if the user ticks it again.
  if (!running.running && !running.result?.ok) row.ticked = false;
}

const take = () => app.doing('import', async () => {
  const some = ticked();
  const { imported, failed, undo } = await app.ask('import_take', asked(some));
  const row = (id) => some.find((one) => one.id === id);
  for (const one of imported) Object.assign(row(one.id), { done: one.connection.name, ticked: false, test: null, problem: null, part: '' });
  for (const one of failed) row(one.id).problem = one.error;
  const said = imported.length === 1 ? `Imported ${imported[0].connection.name}.` : `Imported ${many(imported.length, 'connection')}.`;
  const left = failed.length ? ` ${many(failed.length, 'connection')} could not be imported.` : '';
  const told = imported.flatMap((one) => one.warnings.map((each) => each.text));
  app.toast([said + left, ...told].join(' '), { bad: !imported.length, action: undo && { label: 'Undo', run: () => takeBack(undo, imported.map((one) => row(one.id))) } });
  if (!failed.length) app.go('connections', imported.length === 1 ? imported[0].connection.name : '');
});

const takeBack = (undo, some) => app.doing('import', async () => {
  const { removed, kept } = await app.ask('import_undo', { undo });
  for (const row of some) if (removed.includes(row.done)) Object.assign(row, { done: '', ticked: true });
  const stays = kept.map((one) => `${one.name} was kept: ${one.error.message}.`);
  app.toast([`Removed ${many(removed.length, 'connection')} again.`, ...stays].join(' '), { bad: !removed.length });
});

/** The problem with the name of a row; empty if there is none. */
function nameProblem(row) {
  const name = row.name.trim().toLowerCase();
  if (row.done) return '';
  if (!name) return 'A name is needed.';
  const taken = state.connections.find((one) => one.name.toLowerCase() === name);
  if (taken) return `A connection “${taken.name}” already exists.`;
  return row.ticked && ticked().some((one) => one !== row && one.name.trim().toLowerCase() === name) ? 'Another ticked connection has this name.' : '';
}

// --- the screen

export function screen() {
  const some = ticked();
  const busy = state.busy.has('import');
  const ready = some.length > 0 && !busy && !found.abort;
  const names = some.some(nameProblem);
  return html`<div class="narrow import">
    <div class="title">
      <button class="bare" aria-label="Back to the connections" title="Back" @click=${() => app.go('connections')}>${icon('back')}</button>
      <div class="naming"><h2 id="import-title" tabindex="-1">Import connections</h2></div>
      <div class="tools"><button ?disabled=${found.looking || Boolean(found.abort) || busy || !app.live()} @click=${look}>${found.looking ? 'Looking…' : 'Look again'}</button></div>
    </div>
    <p class="lead">Connections of other programs on this computer. Their files are not changed. Keys are not shown here, and are stored encrypted.
      To import from the variables of a shell, run <code>nexoctl import</code> in that shell.</p>
    ${found.problem ? html`<div class="outcome bad" role="alert"><b>That did not work</b><p>${app.sentence(found.problem)}</p></div>` : nothing}
    ${found.sources ? results() : found.looking ? html`<div class="waiting" role="status" aria-label="Looking for connections"></div>` : nothing}
    ${rows().length ? html`<div class="import-foot" role="group" aria-label="What is ticked">
      <span role="status">${busy ? 'Importing…' : `${some.length} of ${rows().filter((row) => !row.done).length} ticked`}</span>
      ${found.abort ? html`<button @click=${() => found.abort?.abort()}>Stop the test</button>`
        : html`<button ?disabled=${!ready || !app.live()} @click=${() => test(some)}>Test${some.length ? ` ${some.length}` : ''}</button>`}
      <button class="primary" ?disabled=${!ready || names || !app.mayWrite()} @click=${take}>Import${some.length ? ` ${some.length}` : ''}</button>
    </div>` : nothing}
  </div>`;
}

function results() {
  const offers = found.sources.filter((source) => source.rows.length);
  const left = found.sources.filter((source) => source.left_out.length);
  return html`
    ${offers.map((source) => html`<section class="card pad" aria-label=${source.title}><h3>${app.capital(source.title)}</h3>
      <ul class="offers">${source.rows.map(offer)}</ul></section>`)}
    ${offers.length ? nothing : html`<section class="card pad"><p>${left.length ? 'Nothing that can be imported was found.' : 'No connections of other programs were found.'}</p>
      <p class="actions"><button class="primary" ?disabled=${!app.mayWrite()} @click=${() => app.newConnection()}>${icon('plus')}<span>Add connection</span></button></p></section>`}
    ${found.more ? html`<p class="faint">${many(found.more, 'more connection was', 'more connections were')} found; <code>nexoctl import</code> shows all.</p>` : nothing}
    ${left.length ? html`<section class="card pad" aria-label="What cannot be imported"><h3>Cannot be imported</h3>
      <ul class="plain-list left-out">${left.flatMap((source) => source.left_out.map((one) => html`<li>
        <span><b>${one.what}</b> <span class="faint">${source.title}</span><span class="what">${app.capital(one.reason)}</span><span class="what"><code>${one.place}</code></span></span></li>`))}</ul></section>` : nothing}`;
}

function changedRow(row, change) {
  Object.assign(row, change, { test: null, problem: null });
  app.changed();
}

function offer(row) {
  const wrong = nameProblem(row);
  const key = (name) => `${name}-${row.id}`;
  const lacking = row.lacks && !row.part.trim();
  const kind = providerName(row);
  if (row.done) {
    return html`<li class="offer done"><span class="sign">${icon('check')}</span>${tile(row.provider, row.preset)}
      <div class="about"><p><b>${row.done}</b> <span class="faint">imported</span></p></div></li>`;
  }
  return html`<li class="offer">
    <input type="checkbox" aria-label=${`Import ${row.name}`} .checked=${row.ticked} ?disabled=${lacking || Boolean(found.abort)} @change=${(e) => { row.ticked = e.target.checked; app.changed(); }}>
    ${tile(row.provider, row.preset)}
    <div class="about">
      <div class="naming-row"><input class="row-name" aria-label=${`Name for ${row.name}`} autocomplete="off" spellcheck="false" maxlength="200" .value=${row.name}
        ?disabled=${Boolean(found.abort)} aria-invalid=${wrong ? 'true' : nothing} aria-describedby=${wrong ? key('name') : nothing} @input=${(e) => { row.name = e.target.value; row.problem = null; app.changed(); }}>
        <span class="faint">${kind}</span></div>
      ${wrong ? html`<p class="problem" id=${key('name')} role="alert">${wrong}</p>` : nothing}
      <p class="sub">${facts(row)}</p>
      <p class="sub">${row.place}</p>
      ${row.twin ? html`<p class="note">${icon('warn')}<span>${app.capital(row.twin)}.</span></p>` : nothing}
      ${row.reason ? html`<p class="note">${icon('warn')}<span>${app.capital(row.reason)}.</span></p>` : nothing}
      ${row.lacks ? part(row, key('part')) : nothing}
      ${row.problem ? html`<div class="outcome bad" role="alert"><b>Not imported</b><p>${app.sentence(row.problem)}</p></div>` : nothing}
      ${tested(row)}
    </div></li>`;
}

function facts(row) {
  const parts = row.address ? [html`<code class="address">${row.address}</code>`] : [];
  if (row.key) parts.push(html`API key <code>${row.key}</code>`);
  else if (row.key_words) parts.push(app.capital(row.key_words));
  if (row.model) parts.push(html`model <code>${row.model}</code>`);
  if (row.header_names.length) parts.push(html`${row.header_names.length > 1 ? 'headers' : 'header'} <code>${row.header_names.join(', ')}</code>`);
  return parts.map((one, at) => html`${at ? ' · ' : ''}${one}`);
}

/** The field for the part that was not found. */
function part(row, id) {
  const key = row.lacks === 'api_key';
  const typed = (event) => changedRow(row, { part: event.target.value, ticked: Boolean(event.target.value.trim()) });
  return html`<div class="field"><label for=${id}>${key ? 'API key' : 'Base URL'}</label>
    <input id=${id} class="mono ${key ? 'masked' : ''}" type=${key && !SECURE ? 'password' : 'text'} autocomplete="off" autocapitalize="off" autocorrect="off" spellcheck="false"
      data-1p-ignore data-lpignore="true" placeholder=${key ? 'type it to import this one' : 'https://…'} .value=${row.part} ?disabled=${Boolean(found.abort)} @input=${typed}></div>`;
}

function tested(row) {
  const { test: told } = row;
  if (!told) return nothing;
  if (told.waiting) return html`<p class="note"><span class="spinner"></span><span>Waiting for its test</span></p>`;
  if (told.result?.ok) return outcome(told);
  const fixes = (told.result?.suggestions ?? []).filter((one) => one.fix && !row.fixes.includes(one.fix)).map((one) => one.fix);
  const again = fixes.length ? html`<p><button ?disabled=${Boolean(found.abort)} @click=${() => { row.fixes = [...row.fixes, ...fixes]; row.ticked = true; test([row]); }}>Clean it up and test</button></p>` : nothing;
  return html`${layers(told)}${told.running ? nothing : html`<div role="status">${outcome(told, again)}</div>`}`;
}
