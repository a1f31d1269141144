import { type ReactNode, type SyntheticEvent, useEffect, useRef } from "react";

interface DialogProps {
  readonly title: string;
  /** For tests. */
  readonly id: string;
  /** While true, the dialog cannot be closed. */
  readonly isLocked?: boolean;
  readonly onClose: () => void;
  readonly children: ReactNode;
}

/** A modal dialog. The first button has the focus. */
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
      // Some browsers close the dialog on a second Escape in spite of preventDefault.
      onCancel={(event) => {
        if (isLocked) event.preventDefault();
      }}
      onClose={() => {
        if (isLocked) dialog.current?.showModal();
        else onClose();
      }}
      // Keeps keys from the shortcuts of the page.
      onKeyDown={(event) => {
        event.stopPropagation();
      }}
    >
      <h2>{title}</h2>
      {children}
    </dialog>
  );
}

/** Closes the dialog around a button, which restores the focus. */
export function closeDialog({ currentTarget }: SyntheticEvent<HTMLElement>): void {
  currentTarget.closest("dialog")?.close();
}
