import { useEffect } from "react";

/** Actions by KeyboardEvent.key. */
export type Shortcuts = Readonly<Record<string, () => void>>;

/** Runs shortcuts while the component is mounted. Ignores keys typed into a field. */
export function useShortcuts(shortcuts: Shortcuts): void {
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      const run = shortcuts[event.key];
      if (!run || event.ctrlKey || event.metaKey || event.altKey || isField(event.target)) return;
      event.preventDefault();
      run();
    };
    window.addEventListener("keydown", onKey);
    return () => {
      window.removeEventListener("keydown", onKey);
    };
  }, [shortcuts]);
}

function isField(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && /^(INPUT|SELECT|TEXTAREA)$/.test(target.tagName);
}
