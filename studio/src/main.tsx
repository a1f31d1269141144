import "./ui/theme.css";
import "./ui/ui.css";
import "./market/market.css";
import "./market/depth.css";
import "./record/record.css";
import "./orders/orders.css";
import "./orders/ticket.css";
import "./risk/risk.css";
import "./capital/capital.css";
import "./signals/signals.css";
import "./decisions/decisions.css";
import "./why/why.css";
import "./mesh/mesh.css";

import { StrictMode } from "react";
import { createRoot } from "react-dom/client";

import { App } from "./App";

const root = document.getElementById("root");
if (!root) throw new Error("index.html has no #root");
createRoot(root).render(
  <StrictMode>
    <App />
  </StrictMode>,
);
