import { useEffect, useRef } from "react";

const SHORTCUTS: readonly [string, string][] = [
  ["/", "Find an instrument"],
  ["v", "Choose the venue"],
  ["1 … 9, 0, -", "Bar interval, 1s to 1w"],
  ["End", "Newest bar"],
  ["m", "Market"],
  ["d", "Data"],
  ["o", "Orders"],
  ["r", "Risk"],
  ["c", "Capital"],
  ["g", "Signals"],
  ["e", "Decisions"],
  ["w", "Why"],
  ["s", "Mesh (services)"],
  ["?", "This help"],
  ["Esc", "Close"],
];

export function ShortcutHelp({ onClose }: { readonly onClose: () => void }) {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    dialog.current?.showModal();
  }, []);
  return (
    <dialog ref={dialog} className="help" onClose={onClose} onClick={onClose}>
      <h2>Keyboard</h2>
      <dl>
        {SHORTCUTS.map(([keys, effect]) => (
          <div key={keys}>
            <dt>
              <kbd>{keys}</kbd>
            </dt>
            <dd>{effect}</dd>
          </div>
        ))}
      </dl>
    </dialog>
  );
}
