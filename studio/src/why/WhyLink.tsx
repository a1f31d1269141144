import { formatRoute, type Question } from "../route";
import { hexText } from "./bytes";

interface WhyLinkProps {
  readonly question: Question;
  readonly children?: string;
}

/** A link to the chain of events behind something. */
export function WhyLink({ question, children = "why" }: WhyLinkProps) {
  return (
    <a
      className="why-link"
      data-testid="why-link"
      href={formatRoute({ page: "why", question })}
      title="Why: the chain of events behind it"
    >
      {children}
    </a>
  );
}

/** A link to the chain of an event. */
export function EventLink({ eventId }: { readonly eventId: Uint8Array }) {
  return <WhyLink question={{ about: "event", eventId: hexText(eventId) }} />;
}
