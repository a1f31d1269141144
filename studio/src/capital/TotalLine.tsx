import type { Conversion } from "../gen/venuemesh/ledger/v1/equity_pb";
import { Amount } from "../ui/Amount";
import { notIncludedText, ratesText } from "./totals";

/** What all balances are worth together, and what is not in it. */
export function TotalLine({ conversion }: { readonly conversion: Conversion | undefined }) {
  const total = conversion?.totals[0];
  if (!conversion || !total) return null;
  const { amount, currency, notIncluded } = total;
  return (
    <p className="panel-foot" data-testid="capital-total" title={ratesText(conversion)}>
      All together{" "}
      <strong>
        <Amount text={amount === "" ? undefined : amount} unit={currency} valueId="total-amount" />
      </strong>
      {notIncluded.length > 0 && (
        <span data-testid="not-included">
          {" "}
          without {notIncludedText(notIncluded)}: no price is known
        </span>
      )}
    </p>
  );
}
