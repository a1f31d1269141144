import { type ReactNode, type SyntheticEvent, useEffect, useRef } from "react";

interface DialogProps {
  readonly title: string;
  /** For tests. */
  readonly id: string;
  /** While something is under way it cannot be closed. */
  readonly isLocked?: boolean;
  readonly onClose: () => void;
  readonly children: ReactNode;
}

/** A question that has to be answered before the page goes on. The first button has the focus. */
export function Dialog({ title, id, isLocked = false, onClose, children }: DialogProps) {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    dialog.current?.showModal();
  }, []);
  return (
    <dialog
      ref={dialog}
      className="dialog"
      data-testid={id}
      aria-label={title}
      // Some browsers let a second Escape through, whatever is answered to it.
      onCancel={(event) => {
        if (isLocked) event.preventDefault();
      }}
      onClose={() => {
        if (isLocked) dialog.current?.showModal();
        else onClose();
      }}
      // Keys are for the dialog alone, not for the shortcuts of the page.
      onKeyDown={(event) => {
        event.stopPropagation();
      }}
    >
      <h2>{title}</h2>
      {children}
    </dialog>
  );
}

/** Closes the dialog around a button, so that the focus goes back to where it was before. */
export function closeDialog({ currentTarget }: SyntheticEvent<HTMLElement>): void {
  currentTarget.closest("dialog")?.close();
}
