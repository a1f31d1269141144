import type { ReactNode } from "react";

interface RecordTableProps {
  /** Headings, each once. */
  readonly columns: readonly string[];
  /** Rows. */
  readonly children: ReactNode;
}

/** A table that scrolls within its panel. */
export function RecordTable({ columns, children }: RecordTableProps) {
  return (
    <div className="table-scroll">
      <table className="record-table">
        <thead>
          <tr>
            {columns.map((name) => (
              <th key={name} scope="col">
                {name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>{children}</tbody>
      </table>
    </div>
  );
}
