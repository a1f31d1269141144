const PATHS = {
  newest: "M3 8h8M8 5l3 3-3 3M13 4v8",
  earlier: "M10 3L5 8l5 5",
  later: "M6 3l5 5-5 5",
  close: "M4 4l8 8M12 4l-8 8",
} as const;

/** A small drawn icon; fonts may lack a glyph for it. */
export function Icon({ name }: { readonly name: keyof typeof PATHS }) {
  return (
    <svg className="icon" viewBox="0 0 16 16" width="14" height="14" aria-hidden="true">
      <path d={PATHS[name]} />
    </svg>
  );
}
