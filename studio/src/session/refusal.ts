import { type DescMethod, getOption } from "@bufbuild/protobuf";

import { Role, roles } from "../gen/venuemesh/access/v1/access_pb";
import type { Token } from "../gen/venuemesh/access/v1/tokens_pb";
import { useFrameStore } from "../state/frameStore";
import { session } from "./session";

/** Why a caller may not call a method, from its contract. Undefined if the caller may, or is not
 * known yet: the gateway decides. */
export function refusalOf(method: DescMethod, caller: Token | undefined): string | undefined {
  const needed = getOption(method, roles);
  if (!caller || needed.some((role) => caller.roles.includes(role))) return undefined;
  return `This needs the role ${needed.map(roleName).join(" or ")}; you have ${rolesText(caller)}.`;
}

/** Like refusalOf, for whoever is signed in. */
export function useRefusal(method: DescMethod): string | undefined {
  return refusalOf(method, useFrameStore(session.caller));
}

/** The roles of a caller in words: "admin" includes the others. */
export function rolesText({ roles: granted }: Token): string {
  if (granted.includes(Role.ADMIN)) return roleName(Role.ADMIN);
  const own = granted.length > 1 ? granted.filter((role) => role !== Role.VIEWER) : granted;
  return own.map(roleName).join(", ");
}

/** Whether a caller may cancel protective orders without an approval. */
export function isOperator(caller: Token | undefined): boolean {
  return caller?.roles.some((role) => role === Role.OPERATOR || role === Role.ADMIN) ?? false;
}

function roleName(role: Role): string {
  return Role[role].toLowerCase();
}
