import { createContext, type ReactNode, useContext } from "react";
import { createPortal } from "react-dom";

/** The slot of the header in which the open page shows its status. */
export const StatusPlace = createContext<HTMLElement | null>(null);

export function TopStatus({ children }: { readonly children: ReactNode }) {
  const place = useContext(StatusPlace);
  return place ? createPortal(children, place) : null;
}
