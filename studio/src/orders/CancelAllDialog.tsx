import { formatCount } from "../ui/format";
import { closeDialog, Dialog } from "../ui/Dialog";
import type { AccountView } from "./accountView";
import type { AccountSession } from "./accountSession";

interface CancelAllDialogProps {
  readonly view: AccountView;
  readonly session: AccountSession;
  readonly onClose: () => void;
}

/** Asks for confirmation before all open orders are cancelled. */
export function CancelAllDialog({ view, session, onClose }: CancelAllDialogProps) {
  const { canceller } = session;
  const { venue, account } = canceller;
  const count = view.open.length;
  const orders = count === 1 ? "the open order" : `all ${formatCount(count)} open orders`;
  return (
    <Dialog title="Cancel all orders" id="cancel-all-dialog" onClose={onClose}>
      <p className="dialog-text">
        Cancel {orders} of account {account} on {venue}, in all instruments? Orders that were placed
        elsewhere are cancelled too.
      </p>
      <p className="dialog-buttons">
        <button className="outline-button" data-testid="cancel-all-back" onClick={closeDialog}>
          Back
        </button>
        <button
          className="text-button"
          data-testid="cancel-all-confirm"
          onClick={(event) => {
            void canceller.cancelAll();
            closeDialog(event);
          }}
        >
          Cancel all
        </button>
      </p>
    </Dialog>
  );
}
