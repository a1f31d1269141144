import { createContext, type ReactNode, useContext } from "react";
import { createPortal } from "react-dom";

/** The place in the frame where the page that is open shows its status. */
export const StatusPlace = createContext<HTMLElement | null>(null);

export function TopStatus({ children }: { readonly children: ReactNode }) {
  const place = useContext(StatusPlace);
  return place ? createPortal(children, place) : null;
}
