// The screen Upkeep: checks and gateway, the vault, the stand-ins, the check of the store and its backups. Loaded on
// first use.

import { html, nothing } from './lit-html.js';
import * as app from './app.js';
import { frame } from './dialogs.js';
import { ago, clock, icon, light, many, notTold, span } from './views.js';

const { state } = app;

// The result of the last check of the store.
const checked = { found: null, problem: null, at: null };

// --- actions of clicks

const backUp = () =>
  app.doing('backup', async () => {
    await app.ask('backup');
    app.toast('The store is backed up.');
    await app.loadMore('upkeep');
  });

const checkStore = () =>
  app.doing('check store', async () => {
    Object.assign(checked, { found: null, problem: null });
    try {
      checked.found = await app.ask('check_store');
    } catch (problem) {
      checked.problem = problem;
    }
    checked.at = new Date().toISOString();
    app.say(checkWords());
  });

const switchGateway = (on) =>
  app.doing('gateway', async () => {
    const { problem, advice } = await app.ask('gateway', { on });
    if (problem) app.toast(app.sentence({ message: problem, hint: advice }), { bad: true });
    else app.toast(on ? 'The gateway is open.' : 'The gateway is closed: programs that use it get no answer.');
    await app.loadMore('upkeep');
  });

// The stand-ins that were chosen last, until they are saved: the next click starts from this list, and not from one
// that was loaded before.
let chosen = null;

function setStandIns(names) {
  chosen = names;
  app.inTurn('stand-ins', async () => {
    try {
      await app.ask('stand_ins', { names });
    } finally {
      await app.loadMore('upkeep');
      if (chosen === names) chosen = null;
    }
  });
}

/** Save the export as a download; it contains no secret. */
const exportAll = () =>
  app.doing('export', async () => {
    const { document: text, connections } = await app.ask('export');
    const address = URL.createObjectURL(new Blob([text], { type: 'application/json' }));
    Object.assign(document.createElement('a'), { href: address, download: 'connections.json' }).click();
    setTimeout(() => URL.revokeObjectURL(address), 60_000);
    app.toast(`connections.json has ${many(connections, 'connection')} and no key.`);
  });

const lockVault = () => app.doing('lock', () => app.ask('lock'));

/** Show the content of a backup, and restore it if the user agrees. The daemon checks it before and again then. */
async function offer(backup) {
  app.openDialog({ kind: 'restore', draw: restoring, backup, proof: null, problem: null });
  const { dialog } = state;
  try {
    dialog.proof = await app.ask('restore', { name: backup.name, dry_run: true });
  } catch (problem) {
    dialog.problem = problem;
  }
  if (state.dialog !== dialog) return;
  app.changed();
  app.say(dialog.problem ? app.sentence(dialog.problem) : brings(dialog.proof));
}

/** As `offer`, for the newest backup. */
export async function offerNewest() {
  const [newest] = (await app.ask('upkeep')).backups;
  if (newest) await offer(newest);
  else app.toast('There is no backup. nexoctl store check says what is wrong with the store.', { bad: true });
}

const restore = (dialog) =>
  app.doing('restore now', async () => {
    try {
      const done = await app.ask('restore', { name: dialog.backup.name });
      // Histories and test results belong to the store before.
      for (const known of [state.histories, state.handouts, state.tests]) known.clear();
      Object.assign(checked, { found: null, problem: null });
      app.closeDialog();
      app.toast(`Restored ${counts(done)}.`);
      await app.loadMore('upkeep');
    } catch (problem) {
      Object.assign(dialog, { proof: null, problem });
    }
  });

// --- the screen

const size = (bytes) => (bytes < 1e6 ? `${Math.max(1, Math.round(bytes / 1e3))} kB` : `${(bytes / 1e6).toFixed(1)} MB`);
const REASONS = { daily: 'daily', migration: 'before an upgrade', request: 'by hand', rotation: 'before a new key', rescue: 'rescued' };
const SLOTS = {
  keyring: 'the keyring of your desktop', key_file: 'the key file', passphrase: 'the passphrase', systemd_credential: 'the credential of systemd',
};

const card = (title, content, action = nothing) => html`<section class="card pad" aria-label=${title}>
  <div class="chart-head"><h2>${title}</h2>${action}</div>${content}</section>`;
const line = (title, words, action = nothing) => html`<li><span><b>${title}</b><span class="what">${words}</span></span>${action}</li>`;
const button = (word, text, run, ready) => html`<button ?disabled=${!ready || state.busy.has(word)} @click=${run}>${text}</button>`;
const counts = (one) => `${many(one.connections, 'connection')} and ${many(one.secrets, 'secret')}`;

export function upkeep() {
  const { status } = state;
  const told = state.more.upkeep;
  const may = app.mayWrite();
  const gate = told?.gateway;
  return html`<div class="narrow">
    ${card('Running', html`<ul class="plain-list upkeep">
      ${line('Checks', status.checks_paused ? 'Paused: the states shown are not updated.' : 'Every connection is checked in the background, without using tokens.',
        button('checks', status.checks_paused ? 'Resume' : 'Pause', () => app.pauseChecks(!status.checks_paused), may))}
      ${gate ? line('Gateway', gateWords(gate), button('gateway', gate.on ? 'Switch off' : 'Switch on', () => switchGateway(!gate.on), may)) : nothing}
    </ul>`)}
    ${vault(told)}
    ${standIns(told, may)}
    ${card('Store', storeCheck(), button('check store', state.busy.has('check store') ? 'Checking…' : 'Check the store', checkStore, app.live()))}
    ${card('Backups', backups(told), button('backup', state.busy.has('backup') ? 'Backing up…' : 'Back up now', backUp, app.live()))}
    ${card('About', html`<dl class="fields">
      ${[['Version', status.version], ['Daemon', `process ${status.pid}, since ${clock(status.started_at)}`], ['Store', status.database], ['Socket', status.socket], ['Log', status.log]]
        .map(([name, value]) => html`<div><dt>${name}</dt><dd>${['Version', 'Daemon'].includes(name) ? value : html`<code>${value}</code>`}</dd></div>`)}
    </dl>`)}
  </div>`;
}

function gateWords(gate) {
  if (gate.listening) {
    const n = gate.programs.length;
    return `Listens on 127.0.0.1:${gate.port}; ${n ? `${many(n, 'program uses', 'programs use')} it: ${gate.programs.map((one) => one.token ?? one.client?.program ?? one.program).join(', ')}.` : 'no program uses it.'}`;
  }
  if (gate.on) return [gate.problem, gate.advice].filter(Boolean).map(app.capital).join('. ');
  return gate.switched_off ? 'Switched off: programs that use it get no answer.' : 'Opens when the first program needs it.';
}

// --- the vault. New recovery codes, passphrases and key slots need a terminal, because browser extensions can read
// the page.

function vault(told) {
  const { state: now, slot, problem } = state.status.vault;
  const open = now === 'unlocked';
  const more = told?.vault;
  return card('Vault', html`<ul class="plain-list upkeep">
    ${line(open ? 'Unlocked' : 'Locked', open ? 'Programs get their keys. While the vault is locked, no program gets a key.' : app.capital(problem) || 'No program gets a key.',
      open ? button('lock', 'Lock', lockVault, app.live()) : button('unlock', 'Unlock', app.unlock, app.live()))}
    ${line('Unlocked by', html`${slot ? app.capital(SLOTS[slot] ?? slot.replace('_', ' ')) : 'Nothing yet'}${more?.slot_made_at ? `, since ${clock(more.slot_made_at)}` : ''}.
      <code>nexoctl vault rekey</code> changes this.`)}
    ${more ? line('Recovery code', recoveryWords(more, slot)) : nothing}
    ${told?.auto_lock ? line('Locks by itself', `${autoLockWords(told.auto_lock)}.`, button('auto-lock', 'Change…', () => changeAutoLock(told.auto_lock), app.mayWrite())) : nothing}
  </ul>`);
}

const recoveryWords = (more, slot) => more.recovery_made_at
  ? html`Made ${ago(more.recovery_made_at)}. It unlocks the vault if ${SLOTS[slot] ?? 'everything else'} is lost. <code>nexoctl vault recovery</code> replaces it by a new one.`
  : html`<b class="warned">None.</b> If ${SLOTS[slot] ?? 'the key of the vault'} is lost, nobody can read the stored keys. <code>nexoctl vault recovery</code> creates a code and shows it once.`;

function autoLockWords(auto) {
  const when = [auto.idle_s && `after ${span(auto.idle_s)} without a hand-out`, auto.on_suspend && 'when the computer goes to sleep', auto.on_screen_lock && 'when the screen is locked'].filter(Boolean);
  return when.length ? app.capital(when.join(', ')) + (auto.problem ? `. ${app.capital(auto.problem)}` : '') : 'Never';
}

const IDLE_S = [15 * 60, 3600, 4 * 3600, 12 * 3600];

const changeAutoLock = ({ idle_s, on_suspend, on_screen_lock }) =>
  app.openDialog({ kind: 'auto-lock', draw: autoLocking, problem: null, wanted: { idle_s: Math.round(idle_s ?? 0), on_suspend, on_screen_lock } });

function autoLocking(dialog) {
  const { wanted, problem } = dialog;
  const set = (changes) => { Object.assign(wanted, changes); dialog.problem = null; app.changed(); };
  const spans = wanted.idle_s && !IDLE_S.includes(wanted.idle_s) ? [...IDLE_S, wanted.idle_s].toSorted((a, b) => a - b) : IDLE_S;
  const tick = (field, words) => html`<label class="tick"><input type="checkbox" .checked=${wanted[field]} @change=${(e) => set({ [field]: e.target.checked })}><span>${words}</span></label>`;
  const save = () => app.doing('auto-lock', async () => {
    try {
      await app.ask('auto_lock', wanted);
      app.closeDialog();
      await app.loadMore('upkeep');
    } catch (caught) {
      dialog.problem = caught;
    }
  });
  return frame('When the vault locks by itself', dialog, app.closeDialog, html`<div class="dialog-text">
      <div><label for="auto-idle">Lock when no program asked for a key</label>
        <select id="auto-idle" data-first @change=${(e) => set({ idle_s: Number(e.target.value) })}>
          <option value="0" ?selected=${!wanted.idle_s}>never</option>
          ${spans.map((one) => html`<option value=${one} ?selected=${one === wanted.idle_s}>for ${span(one) || `${one} s`}</option>`)}</select></div>
      <div>${tick('on_suspend', 'Lock when the computer goes to sleep')}${tick('on_screen_lock', 'Lock when the screen is locked')}</div>
      ${problem ? html`<p class="problem" role="alert">${app.sentence(problem)}</p>` : nothing}
      <p class="faint">While the vault is locked, no program gets a key.</p></div>
    <div class="dialog-foot"><button @click=${app.closeDialog}>Cancel</button>
      <button class="primary" ?disabled=${state.busy.has('auto-lock') || !app.mayWrite()} @click=${save}>Save</button></div>`, 'small');
}

// --- stand-ins

function standIns(told, may) {
  const names = chosen ?? told?.fallback ?? [];
  const free = state.connections.filter((one) => one.enabled && !names.includes(one.name));
  return card('Stand-ins', html`
    <p class="lead">When the connection of a program is unhealthy, the first of these that works takes its place. Bound workspaces keep theirs, unless you allow it there.</p>
    ${names.length ? html`<ul class="bindings">${names.map((name, at) => html`<li><span class="badge">${at + 1}</span><span class="where"><b>${name}</b></span>
        <button ?disabled=${!may} aria-disabled=${at ? nothing : 'true'} aria-label=${`Move ${name} up`} @click=${() => at && setStandIns(names.toSpliced(at, 1).toSpliced(at - 1, 0, name))}>Up</button>
        <button class="bare" ?disabled=${!may} aria-label=${`Remove the stand-in ${name}`} title="Remove" @click=${() => setStandIns(names.toSpliced(at, 1))}>${icon('cross')}</button></li>`)}</ul>`
      : html`<p class="faint">${told ? 'None: programs keep their own connection.' : notTold()}</p>`}
    ${told && free.length ? html`<div class="line-form"><div class="grow"><label for="stand-in">Add</label>
      <select id="stand-in" ?disabled=${!may} .value=${''} @change=${(e) => { const name = e.target.value; e.target.value = ''; setStandIns([...names, name]); }}>
        <option value="" selected disabled>choose …</option>${free.map((one) => html`<option value=${one.name}>${one.name}</option>`)}</select></div></div>` : nothing}`);
}

// --- the store and its backups

function checkWords() {
  const { found, problem } = checked;
  if (problem) return app.sentence(problem);
  if (!found.ok) return `${many(found.problems.length, 'problem')} found`;
  return found.seals_checked ? `Sound: ${counts(found)}, and every secret can be decrypted` : `Sound: ${many(found.connections, 'connection')}. The vault is locked, so the secrets were not checked`;
}

function storeCheck() {
  const { found, problem, at } = checked;
  if (!found && !problem) return html`<p class="faint">A check looks for damage, and decrypts every stored secret. It changes nothing.</p>`;
  return html`<div class="outcome ${found?.ok ? 'good' : 'bad'}"><b>${checkWords()}</b>
    ${found?.problems.length ? html`<ul class="bullets">${found.problems.map((one) => html`<li>${app.capital(one)}</li>`)}</ul>` : nothing}
    <p class="faint">Checked ${ago(at)}.</p></div>`;
}

function backups(told) {
  return html`<p class="lead">Copies of the encrypted store, made every day. They can be used only with the key or the recovery code of the vault. For another computer, <button class="link" ?disabled=${!app.live() || state.busy.has('export')} @click=${exportAll}>export</button> everything except the keys; <code>nexoctl export --with-secrets</code> includes them.</p>
    ${told?.backups.length ? html`<ul class="plain-list backups">${told.backups.map((one) => html`<li>
        <span><b>${one.at ? clock(one.at) : one.name}</b><span class="what">${app.capital(REASONS[one.reason] ?? one.reason)}, ${size(one.size_bytes)}</span></span>
        <time class="faint" datetime=${one.at ?? ''}>${ago(one.at)}</time>
        <button ?disabled=${!app.live()} aria-label=${`Restore ${one.name}`} title=${one.name} @click=${() => offer(one)}>Restore…</button></li>`)}</ul>`
      : html`<p class="faint">${told ? 'None yet.' : notTold()}</p>`}`;
}

const brings = (proof) => `It is sound: ${counts(proof)}.`;

function restoring(dialog) {
  const { backup, proof, problem } = dialog;
  const busy = state.busy.has('restore now');
  return frame('Restore this backup?', dialog, app.closeDialog, html`<div class="dialog-text">
      <dl class="fields">
        <div><dt>Made</dt><dd>${backup.at ? `${clock(backup.at)}, ${ago(backup.at)}` : 'not known'}</dd></div>
        <div><dt>File</dt><dd><code>${backup.name}</code></dd></div>
        <div><dt>Now</dt><dd>${many(state.connections.length, 'connection')}</dd></div>
      </dl>
      ${problem ? html`<div class="outcome bad" role="alert"><b>It cannot be restored</b><p>${app.sentence(problem)}</p></div>`
        : proof ? html`<div class="outcome good"><b>${light('healthy')} ${brings(proof)}</b></div>`
          : html`<p class="faint">Checking the backup…</p>`}
      <p>Connections, keys, workspaces and stand-ins are restored to that state, and running programs follow. The current store is kept beside the backups.</p>
    </div>
    <div class="dialog-foot"><button data-first @click=${app.closeDialog}>Cancel</button>
      <button class="danger" ?disabled=${!proof || busy || !app.live()} @click=${() => restore(dialog)}>${busy ? 'Restoring…' : 'Restore'}</button></div>`, 'small');
}
