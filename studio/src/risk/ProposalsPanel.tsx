import { useState } from "react";

import { Inspector } from "../gen/venuemesh/inspector/v1/inspector_pb";
import type { Proposal } from "../gen/venuemesh/inspector/v1/proposals_pb";
import { useRefusal } from "../session/refusal";
import type { Polled } from "../state/poll";
import { EmptyPanel } from "../ui/EmptyPanel";
import { formatCount, formatDateTime, formatTime } from "../ui/format";
import { Panel } from "../ui/Panel";
import { RecordTable } from "../ui/RecordTable";
import { ProposalDialog } from "./ProposalDialog";
import { proposalText } from "./proposals";

const COLUMNS = ["By", "What", "Why, in the words of the model", "Expires, UTC", ""];

interface ProposalsPanelProps {
  readonly polled: Polled<readonly Proposal[]>;
  readonly onChange: () => void;
}

/** What models have proposed. Nothing is sent before a person confirms it. */
export function ProposalsPanel({ polled, onChange }: ProposalsPanelProps) {
  const [asked, ask] = useState<Proposal>();
  const refusal = useRefusal(Inspector.method.confirmProposal);
  const rows = polled.value ?? [];
  return (
    <Panel
      title="Proposals of models"
      aside={<span className="panel-note">{polled.value && formatCount(rows.length)}</span>}
    >
      {rows.length === 0 ? (
        <EmptyPanel polled={polled} empty="No proposal waits for a confirmation." />
      ) : (
        <RecordTable columns={COLUMNS}>
          {rows.map((row) => (
            <ProposalRow
              key={row.requested?.requestId}
              {...{ row, refusal }}
              onDecide={() => {
                ask(row);
              }}
            />
          ))}
        </RecordTable>
      )}
      {asked && (
        <ProposalDialog
          proposal={asked}
          onDone={onChange}
          onClose={() => {
            ask(undefined);
          }}
        />
      )}
    </Panel>
  );
}

interface ProposalRowProps {
  readonly row: Proposal;
  /** Why this caller may decide on none. */
  readonly refusal: string | undefined;
  readonly onDecide: () => void;
}

function ProposalRow({ row, refusal, onDecide }: ProposalRowProps) {
  const { requested, expiresTimeNs } = row;
  const what = proposalText(row);
  return (
    <tr data-testid="proposal-row" data-request={requested?.requestId}>
      <td>{requested?.caller}</td>
      <td className="detail">
        <span title={what}>{what}</span>
      </td>
      <td className="detail">
        <span title={requested?.reason}>{requested?.reason}</span>
      </td>
      <td title={formatDateTime(expiresTimeNs)}>{formatTime(expiresTimeNs)}</td>
      <td>
        <button
          className="outline-button"
          data-testid="decide-proposal"
          title={refusal}
          disabled={refusal !== undefined}
          onClick={onDecide}
        >
          Decide
        </button>
      </td>
    </tr>
  );
}
