import { useEffect, useState } from "react";

import { useFrameStore } from "../state/frameStore";
import { Dialog, closeDialog } from "../ui/Dialog";
import { formatDateTime } from "../ui/format";
import { rolesText } from "./refusal";
import { session } from "./session";

/** Who is signed in; a click shows until when, and lets sign out. */
export function SessionMark() {
  const [isOpen, setOpen] = useState(false);
  const caller = useFrameStore(session.caller);
  const left = useFrameStore(session.left);
  useEffect(() => session.start(), []);
  if (!caller || caller.expiresTimeNs === 0n) return null;
  const roles = rolesText(caller);
  return (
    <>
      <button
        className="session-mark"
        data-testid="session"
        title={`Signed in as ${caller.caller} (${roles}), ${left} left`}
        onClick={() => {
          setOpen(true);
        }}
      >
        {caller.caller} <small>{roles}</small>
      </button>
      {isOpen && (
        <Dialog
          title="Signed in"
          id="session-dialog"
          onClose={() => {
            setOpen(false);
          }}
        >
          <dl className="facts">
            {[
              ["Name", caller.caller],
              ["Roles", roles],
              ["Ends", `in ${left}, ${formatDateTime(caller.expiresTimeNs)} UTC`],
            ].map(([name, text]) => (
              <div key={name}>
                <dt>{name}</dt>
                <dd>{text}</dd>
              </div>
            ))}
          </dl>
          <p className="dialog-note">The session is renewed while this page is open.</p>
          <p className="dialog-buttons">
            <button className="outline-button" onClick={closeDialog}>
              Close
            </button>
            <button
              className="text-button"
              data-testid="sign-out"
              onClick={() => void session.signOut()}
            >
              Sign out
            </button>
          </p>
        </Dialog>
      )}
    </>
  );
}
