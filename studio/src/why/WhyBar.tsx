import { type SyntheticEvent, useState } from "react";

import { go, type Question } from "../route";
import { Choice } from "../ui/Choice";
import { type LookUp, lookUpOf, NEEDED, questionOf } from "./question";

const ABOUT = [
  ["fill", "fill"],
  ["order", "order"],
  ["position", "position"],
  ["event", "event"],
] as const;
const PLACEHOLDERS: Record<Exclude<keyof LookUp, "about">, string> = {
  venue: "venue",
  account: "account",
  symbol: "symbol",
  id: "id",
};
const ID_WORDS: Record<Question["about"], string> = {
  fill: "fill id of the venue",
  order: "client order id",
  position: "",
  event: "event id, 32 hexadecimal digits",
};

/** A form to look up a fill, an order, a position or an event. Use the question as its key. */
export function WhyBar({ question }: { readonly question: Question | undefined }) {
  const [typed, setTyped] = useState(() => lookUpOf(question));
  const asked = questionOf(typed);
  const onSubmit = (event: SyntheticEvent) => {
    event.preventDefault();
    if (asked) go({ page: "why", question: asked });
  };
  return (
    <form className="instrument-bar why-bar" onSubmit={onSubmit}>
      <span className="why-ask">Why this</span>
      <Choice
        label="What to explain"
        options={ABOUT}
        chosen={typed.about}
        onChoose={(about) => {
          setTyped({ ...typed, about });
        }}
      />
      {(["venue", "account", "symbol", "id"] as const)
        .filter((field) => NEEDED[typed.about].includes(field))
        .map((field) => (
          <input
            key={field}
            className={`why-input ${field}`}
            data-testid={`why-${field}`}
            aria-label={field === "id" ? ID_WORDS[typed.about] : field}
            placeholder={field === "id" ? ID_WORDS[typed.about] : PLACEHOLDERS[field]}
            spellCheck={false}
            value={typed[field]}
            onChange={(event) => {
              setTyped({ ...typed, [field]: event.target.value });
            }}
          />
        ))}
      <button type="submit" className="text-button" data-testid="why-ask" disabled={!asked}>
        Explain
      </button>
    </form>
  );
}
