import { useMemo } from "react";

import { ledger } from "../api/transport";
import { accountText, kindLabel } from "../capital/ledgerText";
import type { BookedGroup } from "../gen/venuemesh/ledger/v1/postings_pb";
import { useFrameStore } from "../state/frameStore";
import { Poll } from "../state/poll";
import { useRunning } from "../state/running";
import { Amount } from "../ui/Amount";
import { EmptyPanel } from "../ui/EmptyPanel";
import { formatCount } from "../ui/format";
import type { ChainNode } from "./chain";
import { EventCard } from "./EventCard";

/** As many as one call returns. */
const GROUPS_MAX = 100;
const PAUSE_MS = 10_000;

interface PostingsCardProps {
  readonly nodes: readonly ChainNode[];
  readonly chosen: string;
}

/** What the ledger has booked or refused for a chain. */
export function PostingsCard({ nodes, chosen }: PostingsCardProps) {
  const postings = nodes.filter(({ stage }) => stage === "posting");
  const booked = postings.flatMap(({ stored }) => {
    const payload = stored?.event?.payload;
    return payload?.case === "postingsBooked" ? [payload.value.groupId] : [];
  });
  const refused = postings.flatMap(({ key, stored }) => {
    const payload = stored?.event?.payload;
    return payload?.case === "postingsRefused" ? [{ key, ...payload.value }] : [];
  });
  if (booked.length === 0 && refused.length === 0) return null;
  return (
    <EventCard id="postings" title="Postings" isChosen={postings.some(({ key }) => key === chosen)}>
      {refused.map(({ key, reason, detail }) => (
        <p key={key} className="failed">
          Refused: {reason}. {detail}
        </p>
      ))}
      {booked.length > 0 && <BookedGroups ids={booked.slice(-GROUPS_MAX).join("\n")} />}
    </EventCard>
  );
}

/** `ids`: one in each line, so that the same ids are the same value. */
function BookedGroups({ ids }: { readonly ids: string }) {
  const poll = useMemo(() => pollGroups(ids.split("\n")), [ids]);
  useRunning(poll);
  const polled = useFrameStore(poll.state);
  const groups = polled.value ?? [];
  if (groups.length === 0) return <EmptyPanel polled={polled} empty="The ledger has none." />;
  return (
    <div className="why-scroll">
      <table className="why-table postings">
        <thead>
          <tr>
            <th scope="col">Debit</th>
            <th scope="col">Credit</th>
            <th scope="col" className="number">
              Amount
            </th>
          </tr>
        </thead>
        {groups.map((group) => (
          <GroupRows key={String(group.groupNumber)} booked={group} />
        ))}
      </table>
    </div>
  );
}

function GroupRows({ booked: { groupNumber, group } }: { readonly booked: BookedGroup }) {
  if (!group) return null;
  return (
    <tbody>
      <tr className="group">
        <th scope="rowgroup" colSpan={3} title={group.groupId}>
          Group {formatCount(groupNumber)}, {kindLabel(group.kind)}{" "}
          <span className="faint">{group.detail}</span>
        </th>
      </tr>
      {group.transfers.map(({ debit, credit, amount }, place) => (
        <tr key={place} data-testid="posting-row">
          <td>{debit ? accountText(debit) : "—"}</td>
          <td>{credit ? accountText(credit) : "—"}</td>
          <td className="number">
            <Amount text={amount} unit={debit?.asset ?? ""} />
          </td>
        </tr>
      ))}
    </tbody>
  );
}

function pollGroups(groupIds: readonly string[]): Poll<readonly BookedGroup[]> {
  return new Poll(
    async (signal) => (await ledger.getGroups({ groupIds: [...groupIds] }, { signal })).groups,
    PAUSE_MS,
  );
}
