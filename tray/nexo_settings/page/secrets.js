// Shows one stored secret for a limited time after a click. The secret is only in one text node of the page, not
// in the state and not in a variable that outlives the answer.

import { ask } from './app.js';

const SHOWN_MS = 20_000;

let hideNow = null;

/** Hide the shown secret, if there is one. */
export const hide = () => hideNow?.();

/**
 * Show a secret in `place` until 20 s are over, the tab is hidden or `hide` is called.
 * `ended` is called once: when the secret is hidden, or if it cannot be loaded. Throws the errors of `ask`.
 */
export async function show(place, body, ended) {
  hide();
  const over = () => {
    if (hideNow !== over) return;
    hideNow = null;
    place.textContent = '';
    clearTimeout(timer);
    document.removeEventListener('visibilitychange', over);
    window.removeEventListener('pagehide', over);
    ended();
  };
  hideNow = over;
  const timer = setTimeout(over, SHOWN_MS);
  document.addEventListener('visibilitychange', over);
  window.addEventListener('pagehide', over);
  try {
    const { secret } = await ask('reveal', body);
    // Not shown if it was hidden or replaced, or if the dialog or the tab was closed meanwhile.
    if (hideNow === over && place.isConnected && !document.hidden) place.textContent = secret;
    else over();
  } catch (problem) {
    over();
    throw problem;
  }
}
