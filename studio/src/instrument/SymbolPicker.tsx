import { type KeyboardEvent, useDeferredValue, useEffect, useMemo, useRef, useState } from "react";

import { failureText } from "../api/failure";
import {
  type Instrument,
  InstrumentKind,
  InstrumentStatus,
} from "../gen/venuemesh/common/v1/types_pb";
import { useShortcuts } from "../ui/shortcuts";
import type { Place } from "./InstrumentPage";
import { type Instruments, searchInstruments } from "./instruments";

/** Rows of the list. A longer text finds others. */
const OPTIONS_MAX = 100;
const NONE: ReadonlySet<string> = new Set();

interface SymbolPickerProps {
  readonly place: Pick<Place, "symbol" | "instrument" | "instruments" | "streamed">;
  readonly onPick: (symbol: string) => void;
}

/** The instrument as a button that opens a search over the venue's instruments. */
export function SymbolPicker({ place, onPick }: SymbolPickerProps) {
  const { symbol, instrument } = place;
  const [open, setOpen] = useState(false);
  useShortcuts(
    useMemo(
      () => ({
        "/": () => {
          setOpen(true);
        },
      }),
      [],
    ),
  );
  return (
    <div className="symbol-picker">
      <button
        // The button may be inside a form, which it must not submit.
        type="button"
        className="symbol-button"
        data-testid="symbol-select"
        aria-haspopup="listbox"
        aria-expanded={open}
        title="Find an instrument ( / )"
        onClick={() => {
          setOpen(!open);
        }}
      >
        <strong>{symbol}</strong>
        <span>{instrument?.unifiedSymbol ?? ""}</span>
      </button>
      {open && (
        <Search
          place={place}
          onPick={onPick}
          onClose={() => {
            setOpen(false);
          }}
        />
      )}
    </div>
  );
}

interface SearchProps extends SymbolPickerProps {
  readonly onClose: () => void;
}

function Search({ place, onClose, onPick }: SearchProps) {
  const { instruments, streamed = NONE } = place;
  const [text, setText] = useState("");
  const [active, setActive] = useState(0);
  const wanted = useDeferredValue(text);
  const found = useMemo(
    () => searchInstruments(instruments.list, wanted, streamed),
    [instruments.list, wanted, streamed],
  );
  const options = found.slice(0, OPTIONS_MAX);
  const pick = (instrument: Instrument | undefined) => {
    if (!instrument) return;
    onPick(instrument.symbol);
    onClose();
  };
  const onKey = (event: KeyboardEvent) => {
    if (event.key === "Escape") onClose();
    else if (event.key === "Enter") pick(options[active]);
    else if (event.key === "ArrowDown") setActive(Math.min(active + 1, options.length - 1));
    else if (event.key === "ArrowUp") setActive(Math.max(active - 1, 0));
    else return;
    event.preventDefault();
  };
  return (
    <div
      className="symbol-search"
      onKeyDown={onKey}
      onBlur={(event) => {
        if (!event.currentTarget.contains(event.relatedTarget)) onClose();
      }}
    >
      <input
        data-testid="symbol-search"
        autoFocus
        placeholder="Symbol, e.g. BTC"
        aria-label="Find an instrument"
        spellCheck={false}
        value={text}
        onChange={(event) => {
          setText(event.target.value);
          setActive(0);
        }}
      />
      <ul role="listbox" aria-label="Instruments">
        {options.map((instrument, index) => (
          <Option
            key={instrument.symbol}
            instrument={instrument}
            active={index === active}
            streamed={streamed.has(instrument.symbol)}
            onPick={pick}
          />
        ))}
      </ul>
      <p className="symbol-count">{countText(instruments, found.length)}</p>
    </div>
  );
}

interface OptionProps {
  readonly instrument: Instrument;
  readonly active: boolean;
  readonly streamed: boolean;
  readonly onPick: (instrument: Instrument) => void;
}

function Option({ instrument, active, streamed, onPick }: OptionProps) {
  const row = useRef<HTMLLIElement>(null);
  useEffect(() => {
    if (active) row.current?.scrollIntoView({ block: "nearest" });
  }, [active]);
  const halted = instrument.status === InstrumentStatus.HALTED;
  return (
    <li
      ref={row}
      role="option"
      aria-selected={active}
      data-testid={`symbol-option-${instrument.symbol}`}
      // Pointer down, because the search closes when it loses the focus.
      onPointerDown={(event) => {
        event.preventDefault();
        onPick(instrument);
      }}
    >
      <span className={streamed ? "lamp on" : "lamp"} title={streamed ? "Subscribed" : ""} />
      <strong>{instrument.symbol}</strong>
      <span>{instrument.unifiedSymbol}</span>
      <small>{halted ? "halted" : kindText(instrument.kind)}</small>
    </li>
  );
}

function kindText(kind: InstrumentKind): string {
  return kind === InstrumentKind.UNSPECIFIED ? "" : InstrumentKind[kind].toLowerCase();
}

function countText(instruments: Instruments, found: number): string {
  if (instruments.failure) return failureText(instruments.failure);
  if (!instruments.complete) return `${found} found, more are loading …`;
  if (found === 0) return "No matching instrument.";
  return found > OPTIONS_MAX ? `${found} found, type to filter` : `${found} found`;
}
