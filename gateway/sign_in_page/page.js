"use strict";

const byLink = document.getElementById("by-link");
const message = document.getElementById("message");

// The place in Studio is behind the #, which the gateway does not see.
for (const next of document.querySelectorAll("input[name=next]")) {
  if (next.value === "/" && location.hash) next.value = `/${location.hash}`;
}

if (!byLink.hidden) {
  byLink.submit();
} else if (message.hidden) {
  // A browser that follows a link of another site shows the cookie only now.
  fetch("/v1/caller", { headers: { "x-venuemesh-request": "1" } }).then(
    (answer) => {
      if (answer.ok) location.replace(document.querySelector("#by-token [name=next]").value);
    },
    () => undefined,
  );
}
