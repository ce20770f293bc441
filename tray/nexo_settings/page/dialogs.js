// The dialogs for adding, editing and removing a connection and for unlocking the vault. Also starts the page.
//
// A typed key is only in its field and in the request that sends it, never in an address, a storage or a text
// of the page.

import { html, nothing } from './lit-html.js';
import * as app from './app.js';
import { APPLICABLE, SECURE, bubble, freeName, hindrance, icon, layers, outcome, page, shortName, suggested, tile } from './views.js';

const { state } = app;

function dialogs() {
  const { dialog } = state;
  if (!dialog) return nothing;
  if (dialog.draw) return dialog.draw(dialog);
  if (dialog.kind === 'editor') return editor(dialog);
  return dialog.kind === 'remove' ? removing(dialog) : unlocking(dialog);
}

/** The frame of a dialog; `leave` closes it, or asks first. */
export const frame = (title, dialog, leave, content, kind = '') => html`<dialog class=${kind} aria-labelledby="dialog-title"
    @cancel=${(event) => { event.preventDefault(); leave(); }} @keydown=${(event) => keys(event, dialog)}>
  <div class="dialog-head"><h2 id="dialog-title">${title}</h2>
    <button class="bare" aria-label="Close" @click=${leave}>${icon('cross')}</button></div>
  ${hindrance()}${state.toast?.dialog === dialog ? bubble() : nothing}
  ${content}<div class="unseen" role="status" data-said></div></dialog>`;

function keys(event, dialog) {
  if (event.key === 'Enter' && (event.ctrlKey || event.metaKey) && dialog.kind === 'editor' && dialog.choice) {
    event.preventDefault();
    primary(dialog);
  }
}

// --- add and edit

const drafted = (dialog) => JSON.stringify(draft(dialog));

/** Whether a form has something that its user has typed. */
const unsaved = (dialog) => dialog.start !== undefined && drafted(dialog) !== dialog.start;

/** Fill in the form when it is first drawn, because the catalogue of providers may arrive late. */
function filled(dialog) {
  if (dialog.name === undefined) {
    fill(dialog);
    dialog.start = drafted(dialog);
  }
  return dialog;
}

function fill(dialog) {
  const { original } = dialog;
  const from = dialog.values ?? {};
  const common = { test: null, tested: '', problem: null, fixes: [], sendKey: null, question: false, saving: false, shown: false, revealed: '', headers: '', headersOpen: false, removedHeaders: [], authScheme: '', search: '', picking: false, enter: false, abort: null };
  if (original) {
    const reference = original.key.source === 'reference';
    if (dialog.takes) queueMicrotask(() => takeOver(dialog, dialog.takes));
    Object.assign(dialog, common, {
      name: original.name,
      choice: original.preset || original.provider,
      key: '',
      keyFrom: reference ? 'elsewhere' : 'typed',
      reference: original.key.reference,
      removeKey: false,
      base_url: original.base_url,
      model: original.default_model,
      ...mapFields(original.model_map),
      revision: original.revision,
      ...networkFields(original.network),
      headersOpen: original.header_names.length > 0,
    });
    return;
  }
  Object.assign(dialog, common, {
    name: from.name ?? '',
    named: Boolean(from.name),
    choice: from.choice ?? '',
    key: '',
    keyFrom: from.reference ? 'elsewhere' : 'typed',
    reference: from.reference ?? '',
    removeKey: false,
    base_url: from.base_url ?? '',
    model: from.default_model ?? '',
    ...mapFields(from.model_map ?? []),
    headersOpen: Boolean(from.copied?.header_names.length),
    picking: !from.choice,
    ...networkFields(from.network ?? USUAL_NETWORK),
  });
}

const USUAL_NETWORK = { proxy: 'system', no_proxy: [], ca_bundle: '' };

const networkFields = ({ proxy, no_proxy, ca_bundle }) => ({
  proxy: proxy === 'system' ? '' : proxy, noProxy: no_proxy.join(', '), caBundle: ca_bundle,
  networkOpen: proxy !== 'system' || no_proxy.length > 0 || ca_bundle !== '',
});

/** The network profile in the form. */
const network = (dialog) => ({
  proxy: dialog.proxy.trim() || 'system',
  no_proxy: dialog.noProxy.split(',').map((one) => one.trim()).filter(Boolean),
  ca_bundle: dialog.caBundle.trim(),
});

const mapFields = (rows) => ({ map: rows.map(({ asked, sent }) => ({ asked, sent })), mapOpen: rows.length > 0 });

/** The model map in the form, without empty rows. The daemon sorts it, so the order has no meaning. */
const modelMap = (dialog) => dialog.map.map(({ asked, sent }) => ({ asked: asked.trim(), sent: sent.trim() }))
  .filter(({ asked, sent }) => asked || sent).toSorted((a, b) => (a.asked < b.asked ? -1 : 1));

/** What is missing in an incomplete row of the map; shown as a hint, not as an error. */
function mapLacks(dialog) {
  const half = modelMap(dialog).find(({ asked, sent }) => !asked || !sent);
  return half ? (half.asked ? `Type the model that is sent instead of ${half.asked}.` : `Type the model that ${half.sent} replaces.`) : '';
}

function mapProblem(dialog) {
  const rows = modelMap(dialog);
  const twice = rows.find(({ asked }, at) => asked && asked === rows[at + 1]?.asked);
  return twice ? `${twice.asked} is in the list twice: remove one.` : '';
}

const entry = (name) => state.providers.find((one) => one.name === name);

function choose(dialog, chosen) {
  const before = entry(dialog.choice);
  const typed = unsaved(dialog);
  // A typed address is kept; a default address is replaced by the new default.
  if (!dialog.base_url || dialog.base_url === before?.default_base_url) dialog.base_url = chosen.default_base_url;
  dialog.choice = chosen.name;
  dialog.authScheme = '';
  if (dialog.mode === 'add' && !dialog.named) dialog.name = freeName(chosen.name);
  dialog.picking = false;
  if (dialog.mode === 'add' && !typed) dialog.start = drafted(dialog);
  touched(dialog);
  app.changed();
  queueMicrotask(() => document.querySelector(dialog.mode === 'add' ? '#f-key' : '#f-provider')?.focus());
}

/** The form was changed, so the last test does not apply any more. */
function touched(dialog) {
  dialog.abort?.abort();
  dialog.problem = null;
  if (dialog.test && !dialog.test.running) dialog.test = { ...dialog.test, old: true };
  dialog.sendKey = null;
}

/** The current connection in the daemon; `original` is the one with which the form was opened. */
const present = (dialog) => state.connections.find((one) => one.id === dialog.original?.id);
const wasRemoved = (dialog) => Boolean(dialog.original) && app.live() && !present(dialog);
/** The current name, because another program may have renamed the connection. */
const calledNow = (dialog) => (present(dialog) ?? dialog.original)?.name ?? '';

const COMPARED = [
  ['Name', (one) => one.name], ['Provider', (one) => one.preset || one.provider], ['API key', (one) => one.key.reference || one.key.source + one.key.added_at],
  ['Base URL', (one) => one.base_url], ['Proxy', (one) => one.network.proxy], ['CA bundle', (one) => one.network.ca_bundle], ['Custom headers', (one) => one.header_names.join(', ')], ['Default model', (one) => one.default_model],
  ['Model names', (one) => JSON.stringify(one.model_map)],
];
const SHOWN = new Set(['Name', 'Provider', 'Base URL', 'Default model']);

/** The fields that another program has changed since the form was opened. */
function meanwhile(dialog) {
  const now = present(dialog);
  if (!now) return [];
  return COMPARED.filter(([, of]) => of(now) !== of(dialog.original))
    .map(([field, of]) => ({ field, value: SHOWN.has(field) ? of(now) || 'none' : '' }));
}

/** Turn the form into one for a new connection; the stored key was removed with the original. */
function asNew(dialog) {
  Object.assign(dialog, { original: null, named: true, removeKey: false, removedHeaders: [], sendKey: null, problem: null, test: null });
  app.changed();
}

function draft(dialog) {
  const { original } = dialog;
  const found = entry(dialog.choice);
  const provider = found?.provider ?? original?.provider;
  // Without the catalogue, the preset is kept.
  const preset = found ? (found.is_preset ? found.name : '') : (original?.preset ?? '');
  const wanted = {};
  const put = (field, value, before) => {
    if (!original || value !== before) wanted[field] = value;
  };
  put('name', dialog.name.trim(), original?.name);
  put('provider', provider, original?.provider);
  put('preset', preset, original?.preset);
  put('base_url', dialog.base_url.trim(), original?.base_url);
  put('default_model', dialog.model.trim(), original?.default_model);
  if (!original && !wanted.base_url) delete wanted.base_url;
  if (!original && !wanted.preset) delete wanted.preset;
  if (dialog.keyFrom === 'elsewhere') {
    if (dialog.reference.trim() !== (original?.key.reference ?? '') || !original) wanted.api_key_ref = dialog.reference.trim();
  } else if (dialog.key.trim()) wanted.api_key = dialog.key.trim();
  else if (dialog.removeKey || original?.key.source === 'reference') wanted.api_key = '';
  if (dialog.headers.trim()) wanted.headers_json = dialog.headers;
  if (original && wanted.headers_json) wanted.keep_other_headers = true;
  if (dialog.removedHeaders.length) wanted.remove_headers = dialog.removedHeaders;
  if (dialog.authScheme && dialog.authScheme !== original?.auth_scheme) wanted.auth_scheme = dialog.authScheme;
  const way = network(dialog);
  const before = network(networkFields(original?.network ?? USUAL_NETWORK));
  if (JSON.stringify(way) !== JSON.stringify(before)) wanted.network = way;
  const map = modelMap(dialog);
  if (JSON.stringify(map) !== JSON.stringify(modelMap(mapFields(original?.model_map ?? [])))) wanted.model_map = map;
  return wanted;
}

const UNTESTED = new Set(['name', 'default_model', 'model_map']);

/** The fields that may be changed after a test; the tested ones are saved with the ticket. */
function later(dialog) {
  const now = { name: dialog.name.trim(), default_model: dialog.model.trim(), model_map: modelMap(dialog) };
  const fields = new Set([...Object.keys(draft(dialog)), ...dialog.test.fields]);
  return Object.fromEntries(Object.entries(now).filter(([field]) => fields.has(field)));
}

/** Whether changes affect a test. */
const needsTest = (dialog) => !dialog.original || dialog.fixes.length > 0 || Object.keys(draft(dialog)).some((field) => !UNTESTED.has(field));
const hasChanges = (dialog) => !dialog.original || dialog.fixes.length > 0 || Object.keys(draft(dialog)).length > 0;

function nameProblem(dialog) {
  const name = dialog.name.trim();
  const taken = state.connections.find((one) => one.name.toLowerCase() === name.toLowerCase() && one.id !== dialog.original?.id);
  return taken ? `A connection “${taken.name}” already exists.` : '';
}

const STRING = /"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/y;
const PLAIN = /-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?|true|false|null/y;

/** The position of the first syntax error in a JSON object of plain values; browsers do not report it uniformly. */
function brokenAt(text) {
  let at = 0;
  const take = (pattern) => {
    at += /^\s*/.exec(text.slice(at))[0].length;
    pattern.lastIndex = at;
    const found = pattern.test(text);
    if (found) at = pattern.lastIndex;
    return found;
  };
  if (!take(/\{/y)) return at;
  if (!take(/\}/y)) {
    do if (!take(STRING) || !take(/:/y) || !(take(STRING) || take(PLAIN))) return at;
    while (take(/,/y));
    if (!take(/\}/y)) return at;
  }
  take(/$/y);
  return at;
}

/** The problem of the typed headers; empty if there is none. */
export function headersProblem(text) {
  if (!text.trim()) return '';
  let parsed;
  try {
    parsed = JSON.parse(text);
  } catch {
    const before = text.slice(0, brokenAt(text)).split('\n');
    return `This is not JSON at line ${before.length}, column ${before.at(-1).length + 1}. Write {"X-Team": "blue"}.`;
  }
  if (parsed === null || typeof parsed !== 'object' || Array.isArray(parsed)) return 'Write an object: {"X-Team": "blue"}.';
  const odd = Object.entries(parsed).find(([, value]) => typeof value !== 'string');
  return odd ? `The value of ${odd[0]} is not a string: put it in quotes.` : '';
}

const unready = (dialog) => !dialog.name.trim() || wasRemoved(dialog) || !dialog.choice || nameProblem(dialog) || headersProblem(dialog.headers) || mapLacks(dialog) || mapProblem(dialog) ||
  (dialog.keyFrom === 'elsewhere' && !dialog.reference.trim());

async function test(dialog) {
  dialog.abort?.abort();
  const abort = new AbortController();
  const wanted = draft(dialog);
  const running = { layers: [], result: null, problem: null, running: true, old: false, fields: Object.keys(wanted) };
  Object.assign(dialog, { abort, test: running, problem: null });
  app.changed();
  bringIntoView();
  try {
    const body = { draft: wanted, fixes: dialog.fixes, name: calledNow(dialog), send_key: dialog.sendKey === 'yes' };
    for await (const line of app.lines('test', body, abort.signal)) {
      if (line.layer) running.layers.push(line.layer);
      if (line.result) running.result = line.result;
      if (line.error) refused(dialog, running, line.error);
      app.changed();
    }
  } catch (problem) {
    if (problem.name === 'AbortError') {
      if (dialog.test === running) dialog.test = null;
    } else refused(dialog, running, problem.reason ? problem : { message: 'The test was interrupted', hint: '' });
  }
  running.running = false;
  if (dialog.abort === abort) dialog.abort = null;
  app.changed();
  if (state.dialog !== dialog) return false;
  bringIntoView();
  if (dialog.test !== running) return false;
  app.say(running.result ? (running.result.ok ? 'Success' : `Failed: ${running.result.phrase}`) : (running.problem?.message ?? ''));
  return Boolean(running.result?.ok);
}

/** On a small screen, the result of a test is below the form, and a field with an error may be far above. */
const bringIntoView = () => setTimeout(() =>
  (document.querySelector('.form .problem[role=alert]') ?? document.querySelector('.panel-test > :last-child'))?.scrollIntoView({ block: 'nearest' }));

const NETWORK = ['proxy', 'no_proxy', 'ca_bundle'];
const FIELDS = new Set(['name', 'api_key', 'api_key_ref', 'base_url', 'headers', 'headers_json', 'remove_headers', 'default_model', 'model_map', 'provider', ...NETWORK]);

function refused(dialog, running, error) {
  const field = error.metadata?.field ?? '';
  // The ticket has expired or does not match: test again before saving.
  if (field === 'ticket' && dialog.test) dialog.test = { ...dialog.test, old: true };
  if (error.action === 'send_key') {
    dialog.sendKey = error.message;
    dialog.test = null;
    return;
  }
  if (field === 'headers' || field === 'headers_json') dialog.headersOpen = true;
  if (NETWORK.includes(field)) dialog.networkOpen = true;
  if (field === 'model_map') dialog.mapOpen = true;
  dialog.problem = { ...error, message: error.message, hint: error.hint, metadata: error.metadata, field: FIELDS.has(field) ? field : '' };
  if (running) {
    running.problem = dialog.problem;
    if (dialog.problem.field) dialog.test = null;
  }
}

/** Show the stored key or the named header; a second click hides it. Only `secrets.js` handles the secret. */
async function reveal(dialog, what, header) {
  const secrets = await import('./secrets.js');
  if (dialog.revealed === what) {
    secrets.hide();
    return;
  }
  const ended = () => {
    if (dialog.revealed === what) dialog.revealed = '';
    app.changed();
  };
  const place = document.querySelector('#revealed');
  if (!place) return;
  await app.doing('reveal', async () => {
    const asked = secrets.show(place, { name: calledNow(dialog), header }, ended);
    dialog.revealed = what;
    await asked;
    app.say('Shown for 20 seconds, and recorded');
  });
}

const showButton = (dialog, header = '') => {
  const what = header ? `header ${header}` : 'key';
  const open = dialog.revealed === what;
  // One text, because Chromium leaves a space between two out of the name.
  return html`<button class="link" aria-pressed=${open ? 'true' : 'false'} ?disabled=${!app.live()}
    @click=${() => reveal(dialog, what, header)}>${`${open ? 'Hide' : 'Show'} ${header || 'the stored key'}`}</button>`;
};

/** The element for a shown secret. Its text is not part of the template, so drawing does not change it. */
const revealed = (dialog) => html`<div class="revealed" ?hidden=${!dialog.revealed}><code id="revealed" tabindex="0" aria-label="Stored secret"></code>
  <span class="faint">Hidden after 20 seconds. Recorded as a hand-out.</span></div>`;

async function save(dialog) {
  if (dialog.saving) return;
  Object.assign(dialog, { saving: true, problem: null });
  app.changed();
  try {
    const ticket = tested(dialog)?.ticket;
    const body = ticket ? { ticket, draft: later(dialog) } : { draft: draft(dialog), fixes: dialog.fixes };
    const saved = dialog.original
      ? await app.ask('update', { ...body, name: calledNow(dialog), revision: dialog.revision, send_key: dialog.sendKey === 'yes' })
      : await app.ask('create', body);
    const { connection, warnings } = saved;
    const known = new Set((dialog.test?.result?.suggestions ?? []).map((one) => one.text));
    const told = warnings.filter((one) => !known.has(one.text)).map((one) => one.text);
    app.closeDialog();
    app.go('connections', connection.name, Boolean(dialog.original));
    app.toast([`Saved ${connection.name}.`, ...told].join(' '));
  } catch (problem) {
    refused(dialog, null, problem);
  } finally {
    dialog.saving = false;
    app.changed();
  }
}

const tested = (dialog) => dialog.test && !dialog.test.running && !dialog.test.old && dialog.test.result;

async function primary(dialog) {
  if (unready(dialog) || dialog.saving || dialog.test?.running || !hasChanges(dialog)) return;
  if (tested(dialog) || !needsTest(dialog)) await save(dialog);
  else if (await test(dialog)) await save(dialog);
}

function leave(dialog) {
  if (unsaved(dialog) && !dialog.question) {
    Object.assign(dialog, { question: true, picking: false });
    app.changed();
    queueMicrotask(() => document.querySelector('#keep')?.focus());
    return;
  }
  dialog.abort?.abort();
  app.closeDialog();
}

const input = (dialog, field) => (event) => {
  dialog[field] = event.target.value;
  if (field === 'name') dialog.named = true;
  if (field === 'key') dialog.removeKey = false;
  if (!(field === 'name' || field === 'model')) touched(dialog);
  else if (dialog.problem?.field) dialog.problem = null;
  app.changed();
};

function editor(given) {
  const dialog = filled(given);
  const title = dialog.original ? `Edit ${dialog.original.name}` : dialog.values?.copied ? `Duplicate ${dialog.values.copied.name}` : 'Add connection';
  const close = () => leave(dialog);
  return frame(title, dialog, close, dialog.picking ? picker(dialog) : html`
    <div class="dialog-body">
      <div class="form">${form(dialog)}</div>
      <section class="panel-test" aria-label="Test"><h3>Test</h3>${testPanel(dialog)}</section>
    </div>
    ${footer(dialog, close)}`, 'editor');
}

const GROUPS = [['cloud', 'Providers'], ['service', 'Services'], ['local', 'On this computer']];

/** The providers that match the search, in the order of the catalogue. */
function offered(dialog) {
  const wanted = dialog.search.trim().toLowerCase();
  return state.providers.filter((one) => !wanted || `${one.display_name} ${one.name}`.toLowerCase().includes(wanted));
}

function picker(dialog) {
  const shown = offered(dialog);
  const pickFirst = (event) => {
    if (event.key !== 'Enter') return;
    event.preventDefault();
    // If the list of providers is not loaded yet, the first match is chosen when it arrives.
    dialog.enter = !state.providers.length;
    const [first] = offered(dialog);
    if (first) choose(dialog, first);
  };
  if (dialog.enter && shown.length) {
    dialog.enter = false;
    queueMicrotask(() => dialog.picking && choose(dialog, shown[0]));
  }
  return html`<div class="picker">
    <input data-first type="search" aria-label="Find a provider" placeholder="Which provider?" autocomplete="off" spellcheck="false"
      .value=${dialog.search} @keydown=${pickFirst} @input=${(e) => { dialog.search = e.target.value; dialog.enter = false; app.changed(); }}>
    ${GROUPS.map(([kind, words]) => {
      const group = shown.filter((one) => one.kind === kind);
      return group.length ? html`<h3 id="group-${kind}">${words}</h3><ul class="tiles" aria-labelledby="group-${kind}">${group.map((one) => html`<li>
        <button @click=${() => choose(dialog, one)} aria-pressed=${one.name === dialog.choice ? 'true' : 'false'}>${tile(one.provider, one.is_preset ? one.name : '')}
          <span><b>${shortName(one.display_name)}</b><span class="sub">${one.default_base_url ? host(one) : one.is_preset ? 'your own address' : 'any compatible address'}</span></span></button></li>`)}</ul>` : nothing;
    })}
    ${shown.length || !state.providers.length ? nothing : html`<p class="faint">No provider has this name. <b>Custom</b> works with any OpenAI-compatible address.</p>`}
    ${dialog.choice ? html`<p><button @click=${() => { dialog.picking = false; app.changed(); }}>Back</button></p>` : nothing}
  </div>`;
}

const host = (one) => new URL(one.default_base_url).host;

const note = (dialog, fields, otherwise, id) => {
  const problem = dialog.problem && fields.includes(dialog.problem.field) ? dialog.problem : null;
  return html`<p class=${problem ? 'problem' : 'hint'} id=${id} role=${problem ? 'alert' : nothing}>${problem ? app.sentence(problem, true) : otherwise}</p>`;
};

function form(dialog) {
  const found = entry(dialog.choice);
  const taken = nameProblem(dialog);
  return html`
    <div class="field"><label for="f-name">Name</label>
      <input id="f-name" ?data-first=${Boolean(dialog.original)} autocomplete="off" spellcheck="false" maxlength="200" .value=${dialog.name}
        aria-invalid=${taken ? 'true' : nothing} aria-describedby="n-name" @input=${input(dialog, 'name')}>
      ${taken ? html`<p class="problem" id="n-name" role="alert">${taken}</p>` : note(dialog, ['name'], 'The name that you and your programs use.', 'n-name')}</div>
    <div class="field"><span class="label" aria-hidden="true">Provider</span>
      <button id="f-provider" class="chosen-provider" @click=${() => { dialog.picking = true; dialog.revealed = ''; dialog.search = ''; app.changed(); queueMicrotask(() => document.querySelector('.picker input')?.focus()); }}>
        ${tile(found?.provider ?? dialog.original?.provider, found?.is_preset ? found.name : '')}<span class="unseen">Provider: </span><span>${found?.display_name ?? dialog.choice}</span><span class="change">Change</span></button>
      ${note(dialog, ['provider'], found?.note ?? '', 'n-provider')}</div>
    ${keyField(dialog, found)}
    ${dialog.original && state.reveals ? revealed(dialog) : nothing}
    <div class="field"><label for="f-url">Base URL</label>
      <input id="f-url" class="mono" autocomplete="off" spellcheck="false" inputmode="url" .value=${dialog.base_url} placeholder=${found?.base_url_example || 'https://…'}
        aria-describedby="n-url" @input=${input(dialog, 'base_url')}>
      ${note(dialog, ['base_url'], urlNote(dialog, found), 'n-url')}</div>
    ${headersField(dialog)}
    ${networkField(dialog)}
    <div class="field"><label for="f-model">Default model <span class="faint">(optional)</span></label>
      <input id="f-model" class="mono" autocomplete="off" spellcheck="false" list="models" .value=${dialog.model} aria-describedby="n-model" @input=${input(dialog, 'model')}>
      <datalist id="models">${(dialog.test?.result?.models ?? []).slice(0, 500).map((one) => html`<option value=${one}></option>`)}</datalist>
      ${note(dialog, ['default_model'], dialog.test?.result?.models.length ? `${dialog.test.result.models.length} models offered.` : 'For programs that name no model.', 'n-model')}</div>
    ${mapField(dialog)}`;
}

function mapField(dialog) {
  const wrong = mapProblem(dialog);
  // An empty row at the end, which becomes part of the map when something is typed into it.
  const rows = [...dialog.map, { asked: '', sent: '' }];
  const typed = (at, part) => (event) => {
    dialog.map[at] = { ...rows[at], [part]: event.target.value };
    if (dialog.problem?.field) dialog.problem = null;
    app.changed();
  };
  const cell = (at, part, words, placeholder) => html`<input class="mono" autocomplete="off" spellcheck="false" placeholder=${placeholder} .value=${rows[at][part]}
    list=${part === 'sent' ? 'models' : nothing} aria-label=${`${words}, row ${at + 1}`} aria-describedby="n-map" @input=${typed(at, part)}>`;
  return html`<details class="field" ?open=${dialog.mapOpen} @toggle=${(e) => { dialog.mapOpen = e.target.open; }}>
    <summary>Model names <span class="faint">(map)</span></summary>
    <ul class="map">${rows.map((_, at) => html`<li>${cell(at, 'asked', 'Programs ask for', 'gpt-5')}<span aria-hidden="true">→</span>${cell(at, 'sent', 'Sent instead', 'llama3.3:70b')}
      <button class="bare" aria-label=${`Remove row ${at + 1}`} title="Remove" ?disabled=${at === dialog.map.length}
        @click=${() => { dialog.map.splice(at, 1); app.changed(); }}>${icon('cross')}</button></li>`)}</ul>
    ${wrong ? html`<p class="problem" id="n-map" role="alert">${wrong}</p>`
      : note(dialog, ['model_map'], mapLacks(dialog) || 'For programs that use the gateway: the model that they ask for, and the model that is sent instead. Other names are not changed.', 'n-map')}
  </details>`;
}

function urlNote(dialog, found) {
  const usual = found?.default_base_url;
  if (!usual) return found?.name === 'custom' ? 'The address before /chat/completions.' : '';
  if (dialog.base_url.trim() === usual) return `Filled in for ${found.display_name}.`;
  return html`<button class="link" @click=${() => { dialog.base_url = usual; touched(dialog); app.changed(); }}>Back to ${usual}</button>`;
}

/** The connection whose stored secrets the form keeps. */
const keeps = (dialog) => (wasRemoved(dialog) ? null : dialog.original);

function keyField(dialog, found) {
  const original = keeps(dialog);
  const elsewhere = dialog.keyFrom === 'elsewhere';
  const swap = (to) => () => { dialog.keyFrom = to; touched(dialog); app.changed(); };
  const stored = original?.key.source === 'stored' && !dialog.removeKey;
  const notCopied = dialog.values?.copied?.key.source === 'stored';
  const placeholder = stored ? 'unchanged' : notCopied ? '' : found && !found.key_required ? 'none needed' : found?.key_prefixes[0] ? `${found.key_prefixes[0]}…` : '';
  const made = found?.key_url?.startsWith('https://') ? html`Create a key at <a href=${found.key_url} target="_blank" rel="noopener noreferrer">${new URL(found.key_url).host}</a>. ` : nothing;
  const kept = html`${made}Stored encrypted on this computer. <button class="link" @click=${swap('elsewhere')}>Keep it elsewhere</button>
    ${original && original.key.source !== 'none' && !dialog.removeKey && state.reveals ? html` · ${showButton(dialog)}` : nothing}
    ${stored ? html` · <button class="link" @click=${() => { dialog.removeKey = true; touched(dialog); app.changed(); }}>Remove the stored key</button>` : nothing}
    ${dialog.removeKey ? html` · The stored key is removed. <button class="link" @click=${() => { dialog.removeKey = false; touched(dialog); app.changed(); }}>Keep it</button>` : nothing}
    ${notCopied && !dialog.key ? html` · The key is not copied.` : nothing}`;
  if (elsewhere) {
    return html`<div class="field"><label for="f-ref">API key, kept elsewhere</label>
      <input id="f-ref" class="mono" autocomplete="off" spellcheck="false" .value=${dialog.reference} placeholder="keyring:openai/me"
        aria-describedby="n-ref" @input=${input(dialog, 'reference')}>
      ${note(dialog, ['api_key', 'api_key_ref'], html`<code>keyring:SERVICE/USER</code>, <code>file:/PATH</code> or <code>command:PROGRAM ARGUMENTS</code>. <button class="link" @click=${swap('typed')}>Type it here</button>`, 'n-ref')}</div>`;
  }
  return html`<div class="field"><label for="f-key">API key</label>
    <div class="with-button"><input id="f-key" class="mono ${dialog.shown ? '' : 'masked'}" type=${SECURE || dialog.shown ? 'text' : 'password'} ?data-first=${Boolean(dialog.values?.copied)}
      autocomplete="off" autocapitalize="off" autocorrect="off" spellcheck="false" data-1p-ignore data-lpignore="true"
      placeholder=${placeholder} .value=${dialog.key} aria-describedby="n-key" @input=${input(dialog, 'key')}>
      <button class="square" aria-pressed=${dialog.shown ? 'true' : 'false'} aria-label="Show what is typed" title="Show what is typed"
        @click=${() => { dialog.shown = !dialog.shown; app.changed(); }}>${icon(dialog.shown ? 'closed' : 'eye')}</button></div>
    ${note(dialog, ['api_key', 'api_key_ref'], kept, 'n-key')}</div>`;
}

/** An example of a custom header for the provider, as JSON. */
function headerExample(found) {
  const [name, value] = (found?.header_example || 'X-Team: blue').split(': ');
  return JSON.stringify({ [name]: value }).replace(':', ': ');
}

function storedHeader(dialog, name) {
  const gone = dialog.removedHeaders.includes(name);
  const toggle = () => {
    dialog.removedHeaders = gone ? dialog.removedHeaders.filter((one) => one !== name) : [...dialog.removedHeaders, name];
    touched(dialog);
    app.changed();
  };
  const button = (word, run) => html`<button class="link" aria-label=${`${word} the header ${name}`} @click=${run}>${word}</button>`;
  if (gone) return html`<code class="gone">${name}</code> (is removed · ${button('Keep', toggle)})`;
  return html`<code>${name}</code> (${state.reveals ? html`${showButton(dialog, name)} · ` : nothing}${button('Change', () => change(dialog, name))} · ${button('Remove', toggle)})`;
}

/** Put the name of a header into the field, with the cursor in its value. */
function change(dialog, name) {
  const field = document.querySelector('#f-headers');
  const typed = headersProblem(dialog.headers) ? null : JSON.parse(dialog.headers.trim() || '{}');
  if (typed && !(name in typed)) {
    dialog.headers = JSON.stringify({ ...typed, [name]: '' });
    touched(dialog);
    app.changed();
  }
  queueMicrotask(() => {
    field.focus();
    field.setSelectionRange(field.value.length - 2, field.value.length - 2);
  });
}

function headersField(dialog) {
  const names = keeps(dialog)?.header_names ?? [];
  const notCopied = dialog.values?.copied?.header_names ?? [];
  const wrong = headersProblem(dialog.headers);
  const stored = names.length ? html`Stored: ${names.map((one, at) => html`${at ? ', ' : ''}${storedHeader(dialog, one)}`)}. Headers that you type are added,
    or replace the stored one with the same name.` : notCopied.length ? `Not copied: ${notCopied.join(', ')}.` : 'For gateways and proxies that need more than a key. They override the header with the key.';
  return html`<details class="field" ?open=${dialog.headersOpen} @toggle=${(e) => { dialog.headersOpen = e.target.open; }}>
    <summary>Custom headers <span class="faint">(JSON)</span></summary>
    <textarea id="f-headers" class="mono" rows="3" aria-label="Custom headers as JSON" autocomplete="off" spellcheck="false" placeholder=${headerExample(entry(dialog.choice))}
      .value=${dialog.headers} aria-invalid=${wrong ? 'true' : nothing} aria-describedby="n-headers" @input=${input(dialog, 'headers')}></textarea>
    ${wrong ? html`<p class="problem" id="n-headers" role="alert">${wrong}</p>` : note(dialog, ['headers', 'headers_json', 'remove_headers'], stored, 'n-headers')}
  </details>`;
}

function networkField(dialog) {
  const field = (name, value, label, placeholder, hint) => html`<div><label for="f-${value}">${label}</label>
      <input id="f-${value}" class="mono" autocomplete="off" spellcheck="false" placeholder=${placeholder} .value=${dialog[value]}
        aria-describedby="n-${value}" @input=${input(dialog, value)}>${note(dialog, [name], hint, `n-${value}`)}</div>`;
  return html`<details class="field" ?open=${dialog.networkOpen} @toggle=${(e) => { dialog.networkOpen = e.target.open; }}>
    <summary>Network <span class="faint">(proxy, certificates)</span></summary>
    <div class="network">
      ${field('proxy', 'proxy', 'Proxy', 'system', html`<code>system</code> (as set on this computer), <code>direct</code> (none), or <code>http://ann@proxy:3128</code>. A password in it is stored encrypted and not shown again.`)}
      ${field('no_proxy', 'noProxy', 'Without the proxy', 'localhost, .corp.example', 'Host names, separated by commas.')}
      ${field('ca_bundle', 'caBundle', 'CA bundle', '/etc/ssl/corp.pem', 'A file with certificates to trust, for a network that inspects TLS.')}
    </div></details>`;
}

/** Another program has changed the connection: show its changes, and say that only the user's changes are saved. */
function stale(dialog) {
  const changes = meanwhile(dialog);
  const keep = () => { dialog.revision = present(dialog)?.revision ?? 0; touched(dialog); app.changed(); };
  return html`${changes.length ? html`<ul class="bullets">${changes.map((one) => html`<li>${one.field}${one.value ? html` is now <code>${one.value}</code>` : nothing}</li>`)}</ul>` : nothing}
    <p>Only your changes are saved.</p><p><button @click=${keep}>Keep what I typed</button></p>`;
}

/** The secrets that are stored only with this connection, in words; null for none. */
function ownSecrets({ key, header_names: names }, typedKey = '') {
  const parts = [key.source === 'stored' && !typedKey && 'key', names.length && (names.length > 1 ? 'headers' : 'header')].filter(Boolean);
  return parts.length ? { words: `stored ${parts.join(' and ')}`, more: parts.length > 1 || parts[0] === 'headers' } : null;
}

function removedMeanwhile(dialog) {
  const lost = ownSecrets(dialog.original, dialog.key);
  return html`<div class="outcome warn" role="alert"><b>${dialog.original.name} was removed meanwhile</b>
    <p>What you typed is still here.${lost ? ` The ${lost.words} ${lost.more ? 'are gone: type them again.' : 'is gone: type it again.'}` : ''}</p>
    <p><button @click=${() => asNew(dialog)}>Save as a new connection</button></p></div>`;
}

function testPanel(dialog) {
  if (wasRemoved(dialog)) return removedMeanwhile(dialog);
  if (typeof dialog.sendKey === 'string' && dialog.sendKey !== 'yes') {
    return html`<div class="outcome warn" role="alert"><b>Send the stored key there?</b><p>${app.capital(dialog.sendKey)}.</p>
      <p><button class="primary" @click=${() => { dialog.sendKey = 'yes'; test(dialog); }}>Send it and test</button></p>
      <p class="faint">Or type the key for the new address.</p></div>`;
  }
  const general = dialog.problem && !dialog.problem.field && !dialog.test?.problem ? html`<div class="outcome bad" role="alert"><b>Not saved</b><p>${dialog.problem.action === 'look_again' ? 'Somebody else changed it while you typed.' : app.sentence(dialog.problem)}</p>
    ${dialog.problem.action === 'look_again' ? stale(dialog) : nothing}</div>` : nothing;
  const fix = dialog.problem?.metadata?.fixes?.split(',').filter(Boolean) ?? [];
  const cleanUp = fix.length ? html`<div class="outcome warn"><b>${app.capital(dialog.problem.metadata.fixes_text ?? 'The key can be cleaned up')}</b>
    <p><button @click=${() => { dialog.fixes = [...dialog.fixes, ...fix]; test(dialog); }}>Clean it up and test</button></p></div>` : nothing;
  if (!dialog.test) {
    return html`${general}${cleanUp}${dialog.problem ? nothing : html`<p class="faint">Nothing is sent before you start a test. A test sends requests to the provider, costs nothing, and shows which layers work.</p>`}`;
  }
  return html`${general}${cleanUp}<div class=${dialog.test.old ? 'old' : ''}>${layers(dialog.test)}
    <div role="status">${dialog.test.running ? nothing : outcome(dialog.test, dialog.test.old ? html`<p class="faint">This result is from before your last changes.</p>` : suggestions(dialog))}</div></div>`;
}

/** Apply a suggestion and test with it. */
function takeOver(dialog, one) {
  const field = APPLICABLE[one.field];
  if (one.fix) dialog.fixes = [...dialog.fixes, one.fix];
  else if (field) {
    dialog[field] = one.value;
    if (field === 'proxy') dialog.networkOpen = true;
    // The button shows the new address, so the click is the consent to send the key there.
    if (dialog.original && field === 'base_url') dialog.sendKey = 'yes';
  } else dialog.choice = one.value;
  test(dialog);
}

function suggestions(dialog) {
  const found = dialog.test.result?.suggestions ?? [];
  // A suggested proxy would lose the password that was typed or is stored.
  const loses = dialog.proxy.includes('@') || dialog.original?.proxy_has_credentials;
  return suggested(found, (one) => !dialog.fixes.includes(one.fix) && !(one.field === 'proxy' && loses), (one) => takeOver(dialog, one));
}

function footer(dialog, close) {
  const may = app.mayWrite();
  const wait = dialog.saving || dialog.test?.running;
  const result = tested(dialog);
  const needs = needsTest(dialog);
  const words = dialog.saving ? 'Saving…' : result ? (result.ok ? 'Save' : 'Save anyway') : needs ? 'Test and save' : 'Save';
  if (dialog.question) {
    return html`<div class="dialog-foot" role="alert"><span>Your changes are not saved.</span>
      <button id="keep" @click=${() => { dialog.question = false; app.changed(); }}>Keep editing</button>
      <button class="danger" @click=${close}>Discard</button></div>`;
  }
  return html`<div class="dialog-foot">
    <button @click=${close}>Cancel</button>
    ${dialog.test?.running ? html`<button @click=${() => dialog.abort?.abort()}>Stop the test</button>`
      : html`<button ?disabled=${Boolean(unready(dialog)) || wait || !app.live()} @click=${() => test(dialog)}>Test connection</button>`}
    <button class=${result && !result.ok ? 'danger' : 'primary'} ?disabled=${Boolean(unready(dialog)) || wait || !may || !hasChanges(dialog)} @click=${() => primary(dialog)}>${words}</button>
  </div>`;
}

// --- remove

function removing(dialog) {
  const { connection } = dialog;
  const bound = state.bindings.filter((one) => one.connection === connection.name);
  const others = state.connections.filter((one) => one.name !== connection.name && one.enabled);
  const lost = ownSecrets(connection);
  const used = connection.is_default || bound.length > 0 || dialog.problem?.action === 'replace_users';
  const remove = (force) => app.doing('remove', async () => {
    try {
      await app.ask('delete', { name: connection.name, replace_with: dialog.move, force });
      app.closeDialog();
      app.go('connections', '', true);
      app.focusList();
      app.toast(`Removed ${connection.name}.`);
    } catch (problem) {
      dialog.problem = problem;
    }
  });
  const busy = state.busy.has('remove');
  return frame(`Remove ${connection.name}?`, dialog, app.closeDialog, html`<div class="dialog-text">
      ${lost ? html`<p>Its ${lost.words} ${lost.more ? 'are' : 'is'} removed, too.</p>` : connection.key.source === 'none' ? html`<p>No key is stored with it.</p>` : nothing}
      ${connection.key.source === 'reference' ? html`<p>The key itself is kept elsewhere and stays there.</p>` : nothing}
      ${used ? html`<p><b>It is in use</b>: ${[connection.is_default ? 'it is the default' : '', bound.length ? `bound to ${bound.map((one) => one.workspace.path ?? one.workspace.name).join(', ')}` : ''].filter(Boolean).join('; ')}.</p>
        ${others.length ? html`<div class="field"><label for="move">Connection for its users</label><select id="move" @change=${(e) => { dialog.move = e.target.value; app.changed(); }}>
          <option value="" ?selected=${!dialog.move}>no connection: they fail until you choose one</option>
          ${others.map((one) => html`<option value=${one.name} ?selected=${dialog.move === one.name}>${one.name}</option>`)}</select></div>` : nothing}` : nothing}
      ${dialog.problem ? html`<p class="problem" role="alert">${app.sentence(dialog.problem)}</p>` : nothing}
    </div>
    <div class="dialog-foot"><button data-first @click=${app.closeDialog}>Cancel</button>
      <button class="danger" ?disabled=${busy || !app.mayWrite()} @click=${() => remove(used && !dialog.move)}>Remove</button></div>`, 'small');
}

// --- the vault

function unlocking(dialog) {
  const open = () => app.doing('unlock', async () => {
    try {
      await app.ask('unlock', dialog.byCode ? { recovery_code: dialog.code.trim() } : { passphrase: dialog.passphrase });
      app.closeDialog();
      app.toast('The vault is unlocked.');
    } catch (problem) {
      dialog.problem = problem;
    }
  });
  const field = dialog.byCode ? 'code' : 'passphrase';
  const typed = (event) => { dialog[field] = event.target.value; dialog.problem = null; app.changed(); };
  return frame('Unlock the vault', dialog, app.closeDialog, html`<div class="dialog-text">
      <div class="field"><label for="f-open">${dialog.byCode ? 'Recovery code' : 'Passphrase'}</label>
        <input id="f-open" data-first class="mono masked" type=${SECURE ? 'text' : 'password'} autocomplete="off" spellcheck="false" data-1p-ignore .value=${dialog[field]} @input=${typed}
          @keydown=${(e) => e.key === 'Enter' && dialog[field] && open()}>
        ${dialog.problem ? html`<p class="problem" role="alert">${app.sentence(dialog.problem)}</p>` : html`<p class="hint"><button class="link" @click=${() => { dialog.byCode = !dialog.byCode; app.changed(); }}>${dialog.byCode ? 'Use the passphrase' : 'Use the recovery code'}</button></p>`}</div>
    </div>
    <div class="dialog-foot"><button @click=${app.closeDialog}>Cancel</button>
      <button class="primary" ?disabled=${!dialog[field] || state.busy.has('unlock')} @click=${open}>${state.busy.has('unlock') ? 'Unlocking…' : 'Unlock'}</button></div>`, 'small');
}

app.begin(page, dialogs, unsaved);
