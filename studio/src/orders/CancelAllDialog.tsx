import { formatCount } from "../ui/format";
import { closeDialog, Dialog } from "../ui/Dialog";
import type { AccountView } from "./accountView";
import type { Work } from "./work";

interface CancelAllDialogProps {
  readonly view: AccountView;
  readonly work: Work;
  readonly onClose: () => void;
}

/** Asks before all open orders are taken back. */
export function CancelAllDialog({ view, work, onClose }: CancelAllDialogProps) {
  const { cancelling } = work;
  const { venue, account } = cancelling;
  const count = view.open.length;
  const orders = count === 1 ? "the one open order" : `all ${formatCount(count)} open orders`;
  return (
    <Dialog title="Cancel all orders" id="cancel-all-dialog" onClose={onClose}>
      <p className="dialog-text">
        Cancel {orders} on {venue}, account {account}, of all instruments, those placed elsewhere
        too.
      </p>
      <p className="dialog-buttons">
        <button className="outline-button" data-testid="cancel-all-back" onClick={closeDialog}>
          Back
        </button>
        <button
          className="text-button"
          data-testid="cancel-all-confirm"
          onClick={(event) => {
            void cancelling.cancelAll();
            closeDialog(event);
          }}
        >
          Cancel all
        </button>
      </p>
    </Dialog>
  );
}
