// Shows one stored secret for a while. It is asked for by a click, stands in one text of the page, and is kept
// nowhere else: not in the state, not in a variable that outlives the answer.

import { ask } from './app.js';

const SHOWN_MS = 20_000;

let hideNow = null;

/** Take away what is shown, if anything is. */
export const hide = () => hideNow?.();

/**
 * Put a secret into `place` until 20 s are over, the tab is hidden or `hide` is called.
 * `ended` is called once, then or when the secret is not had; throws what `ask` throws.
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
    // Hidden, closed or asked for another one meanwhile: then it is not shown at all.
    if (hideNow === over && place.isConnected && !document.hidden) place.textContent = secret;
    else over();
  } catch (problem) {
    over();
    throw problem;
  }
}
