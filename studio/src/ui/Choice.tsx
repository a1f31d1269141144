interface ChoiceProps<Value extends string> {
  readonly label: string;
  /** Values and their words. */
  readonly options: readonly (readonly [Value, string])[];
  readonly chosen: Value;
  readonly onChoose: (value: Value) => void;
}

/** A few alternatives side by side. */
export function Choice<Value extends string>(props: ChoiceProps<Value>) {
  const { label, options, chosen, onChoose } = props;
  return (
    <div className="choice" role="group" aria-label={label}>
      {options.map(([value, words]) => (
        <button
          key={value}
          data-testid={`choice-${value}`}
          aria-pressed={value === chosen}
          onClick={() => {
            onChoose(value);
          }}
        >
          {words}
        </button>
      ))}
    </div>
  );
}
