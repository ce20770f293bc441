// The screen Workspaces: the bindings, the connection for a directory, and the programs that follow now. Loaded on
// first use.

import { html, nothing } from './lit-html.js';
import * as app from './app.js';
import { frame } from './dialogs.js';
import { ago, icon, light, remedyButton, span } from './views.js';

const { state } = app;

const fresh = () => ({ typed: '', connection: '', sticky_s: 0, allow_fallback: false, problem: null });
let form = fresh();
const asked = { typed: '', answer: null, problem: null };

const wordOf = (workspace) => workspace.path ?? workspace.name;
const place = (workspace) => (workspace.path ? { path: workspace.path } : { workspace: workspace.name });

// --- actions of clicks

function bind() {
  const { problem: _, ...wanted } = form;
  if (!wanted.typed.trim() || !wanted.connection) return;
  app.inTurn('bind', async () => {
    try {
      const { binding } = await app.ask('bind', { ...wanted, typed: wanted.typed.trim() });
      form = fresh();
      app.toast(`${wordOf(binding.workspace)} gets ${binding.connection} from now on.`);
    } catch (problem) {
      form.problem = problem;
    }
  });
}

/** Change a binding; fields that are not in `changes` are kept. */
const rebind = ({ workspace, connection, allow_fallback, sticky_s }, changes) =>
  app.inTurn('bind', () => app.ask('bind', { ...place(workspace), connection, allow_fallback, sticky_s: Math.round(sticky_s ?? 0), ...changes }));

const unbind = (binding) =>
  app.doing('unbind', async () => {
    await app.ask('unbind', place(binding.workspace));
    app.toast(`${wordOf(binding.workspace)} follows the default again.`,
      { action: !binding.broken && { label: 'Undo', run: () => rebind(binding, {}) } });
  });

function explain() {
  const typed = asked.typed.trim();
  if (!typed) return;
  app.doing('explain', async () => {
    try {
      Object.assign(asked, { answer: await app.ask('explain', { typed }), problem: null });
    } catch (problem) {
      Object.assign(asked, { answer: null, problem });
    }
  });
}

// --- options of a binding

const SPANS = [3600, 12 * 3600, 86400, 7 * 86400];

const stays = (sticky_s) => `keep their connection until idle for ${span(sticky_s) || `${sticky_s} s`}`;

/** The fields for stickiness and stand-ins; `set` is called with the changes. */
function choices(id, { sticky_s, allow_fallback }, may, set) {
  const spans = sticky_s && !SPANS.includes(sticky_s) ? [sticky_s, ...SPANS].toSorted((a, b) => a - b) : SPANS;
  return html`<div class="grow"><label for="${id}-sticky">Running conversations</label>
      <select id="${id}-sticky" ?disabled=${!may} aria-describedby="${id}-hint" @change=${(e) => set({ sticky_s: Number(e.target.value) })}>
        <option value="0" ?selected=${!sticky_s}>switch with the binding</option>
        ${spans.map((one) => html`<option value=${one} ?selected=${one === sticky_s}>${stays(one)}</option>`)}</select></div>
    <label class="tick"><input id="${id}-fallback" type="checkbox" .checked=${allow_fallback} ?disabled=${!may}
      @change=${(e) => set({ allow_fallback: e.target.checked })}><span>Allow stand-ins</span></label>`;
}

const HINT = 'For the gateway: a conversation that keeps its connection can still use what the provider has stored for it, such as earlier answers and cached prompts.';

/** The binding as it is now, because another program may have changed or removed it. */
const present = ({ workspace: { path, name } }) =>
  state.bindings.find(({ workspace }) => workspace.path === path && workspace.name === name);

function editing(dialog) {
  const { binding, wanted } = dialog;
  const now = present(binding);
  const may = app.mayWrite() && Boolean(now);
  const save = async () => {
    if (await rebind(now, wanted)) app.closeDialog();
  };
  return frame(`Binding of ${wordOf(binding.workspace)}`, dialog, app.closeDialog, html`<div class="dialog-text">
      ${now ? nothing : html`<p class="problem" role="alert">It was unbound meanwhile.</p>`}
      ${choices('edit', wanted, may, (changes) => { Object.assign(wanted, changes); app.changed(); })}
      <p class="hint" id="edit-hint">${HINT}</p></div>
    <div class="dialog-foot"><button data-first @click=${app.closeDialog}>Cancel</button>
      <button class="primary" ?disabled=${!may || state.busy.has('bind')} @click=${save}>Save</button></div>`, 'small');
}

const edit = (binding) => app.openDialog({
  kind: 'binding', draw: editing, binding, wanted: { sticky_s: binding.sticky_s ?? 0, allow_fallback: binding.allow_fallback },
});

// --- the screen

const options = (chosen, none) => html`${none ? html`<option value="" ?selected=${!chosen} disabled>${none}</option>` : nothing}
  ${state.connections.map((one) => html`<option value=${one.name} ?selected=${one.name === chosen}>${one.name}</option>`)}`;

function bound(each) {
  const may = app.mayWrite();
  const word = wordOf(each.workspace);
  const notes = [each.sticky_s && `conversations ${stays(each.sticky_s)}`, each.allow_fallback && 'stand-ins allowed'].filter(Boolean);
  return html`<li class=${each.broken ? 'broken' : ''}>
    ${icon(each.workspace.path ? 'folder' : 'tag')}
    <span class="where"><code>${word}</code>
      ${each.broken ? html`<span class="state unhealthy">${light('unhealthy')}<b>${each.connection} no longer exists: programs get an error</b></span>` : nothing}
      ${notes.length ? html`<span class="what">${app.capital(notes.join(', '))}</span>` : nothing}</span>
    <select aria-label=${`Connection of ${word}`} ?disabled=${!may}
      @change=${(e) => rebind(each, { connection: e.target.value })}>${options(each.connection, each.broken ? each.connection : '')}</select>
    <button class="bare" ?disabled=${!may || each.broken} aria-label=${`Edit the binding of ${word}`} title="Edit" @click=${() => edit(each)}>${icon('pencil')}</button>
    <button class="bare" ?disabled=${!may} aria-label=${`Unbind ${word}`} title="Unbind" @click=${() => unbind(each)}>${icon('cross')}</button>
  </li>`;
}

export function workspaces() {
  const may = app.mayWrite();
  const one = app.theDefault();
  const set = (changes) => { Object.assign(form, { problem: null }, changes); app.changed(); };
  return html`<div class="narrow">
    <section class="card pad" aria-label="Bound workspaces"><h2>Workspaces</h2>
      <p class="lead">Programs get the default, ${one ? html`<b>${one.name}</b>` : 'which is not set'}, unless the directory they run in, or one above it, is bound to another connection.</p>
      ${state.bindings.length ? html`<ul class="bindings">${state.bindings.map(bound)}</ul>` : html`<p class="faint">None is bound.</p>`}
      <div class="line-form">
        <div class="grow"><label for="bind-place">Bind a directory or a name</label>
          <input id="bind-place" autocomplete="off" spellcheck="false" placeholder="~/clients/acme" .value=${form.typed} ?disabled=${!may}
            aria-describedby="bind-problem" @input=${(e) => set({ typed: e.target.value })} @keydown=${(e) => e.key === 'Enter' && bind()}></div>
        <div><label for="bind-to">to</label>
          <select id="bind-to" ?disabled=${!may} @change=${(e) => set({ connection: e.target.value })}>${options(form.connection, 'choose …')}</select></div>
        <button class="primary" ?disabled=${!may || !form.typed.trim() || !form.connection || state.busy.has('bind')} @click=${bind}>Bind</button>
      </div>
      ${form.typed ? html`<div class="line-form">${choices('bind', form, may, set)}</div><p class="hint" id="bind-hint">${HINT}</p>` : nothing}
      <p id="bind-problem" class="problem" role="alert">${form.problem ? app.sentence(form.problem) : nothing}</p>
    </section>
    <section class="card pad" aria-label="Which connection"><h2>Which connection does a directory get?</h2>
      <div class="line-form">
        <div class="grow"><label for="ask-place">Directory, or name of a workspace</label>
          <input id="ask-place" autocomplete="off" spellcheck="false" placeholder="~/projects/site" .value=${asked.typed}
            @input=${(e) => { asked.typed = e.target.value; app.changed(); }} @keydown=${(e) => e.key === 'Enter' && explain()}></div>
        <button ?disabled=${!app.live() || !asked.typed.trim() || state.busy.has('explain')} @click=${explain}>Explain</button>
      </div>
      ${asked.problem ? html`<p class="problem" role="alert">${app.sentence(asked.problem)}</p>` : nothing}
      ${asked.answer ? explained(asked.answer) : nothing}
    </section>
    <section class="card pad" aria-label="Programs"><h2>Programs that follow now</h2>
      ${state.followers.length ? html`<ul class="plain-list">${state.followers.map((each) => html`<li>${icon('program')}
        <span><b>${each.client.program || each.client.name}</b>${each.connections.length ? html` has <b>${each.connections.join(', ')}</b>` : nothing} <span class="faint">process ${each.client.pid}${each.workspaces.length ? `, in ${each.workspaces.map(wordOf).join(', ')}` : ''}</span></span>
        <time class="faint" datetime=${each.connected_at}>${ago(each.connected_at)}</time></li>`)}</ul>` : html`<p class="faint">None. A program that follows applies a switch while it is running.</p>`}
    </section>
  </div>`;
}

const explained = (answer) => html`<div class="outcome ${answer.problem ? 'bad' : 'good'}" role="status">
  <b>${answer.problem ? app.capital(answer.problem.message) : html`It gets ${answer.connection}`}</b>
  ${answer.problem && answer.hint ? html`<p>${app.capital(answer.hint)}</p>` : nothing}
  ${answer.action === 'bind_again' ? nothing : remedyButton(answer)}
  <ol class="steps">${answer.steps.map((step) => html`<li class=${step.won ? 'won' : ''}>${step.won ? icon('check') : html`<span class="sign">·</span>`}<span>${step.text}</span></li>`)}</ol></div>`;
