// What htmx does not do: when a rating is meant, where the focus goes, what changed, and the theme.
"use strict";
(() => {
  const IDLE = 900; // ms without a key: then the rating under the cursor is meant

  // ------------------------------------------------------------ rating
  let timer = 0;
  const rate = (form) => {
    clearTimeout(timer);
    form.dispatchEvent(new CustomEvent("rated", { bubbles: true }));
  };
  document.addEventListener("pointerdown", (event) => {
    const form = event.target.closest?.("form.rate");
    if (form) form.dataset.pointer = "1";
  });
  document.addEventListener("keydown", (event) => {
    const form = event.target.closest?.("form.rate");
    if (!form) return;
    delete form.dataset.pointer;
    if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      const radio = event.target;
      if (radio.type === "radio") radio.checked = true;
      rate(form);
    }
  });
  document.addEventListener("input", (event) => {
    if (event.target.type === "range") event.target.nextElementSibling.value = event.target.value;
  });
  document.addEventListener("change", (event) => {
    const form = event.target.closest?.("form.rate");
    if (!form) return;
    // With arrow keys every star on the way is "changed"; only the one where they stop is meant.
    clearTimeout(timer);
    timer = setTimeout(rate, form.dataset.pointer ? 0 : IDLE, form);
  });

  // ------------------------------------------------------------ what changed
  const SEEN = 6000; // ms that a message stays
  let said = 0;
  let before = null;
  let focused = null;
  const lines = () => [...document.querySelectorAll("#list .line-card")];
  document.addEventListener("htmx:before:swap", () => {
    if (!before) before = new Set(lines().map((line) => line.id));
    const card = document.activeElement?.closest?.(".line-card");
    if (card) focused = lines().indexOf(card);
  });
  document.addEventListener("htmx:after:swap", () => {
    if (!before) return;
    const now = lines();
    const fresh = now.filter((line) => !before.has(line.id));
    const known = before.size > 0;
    before = null;
    for (const line of now) line.classList.toggle("fresh", known && fresh.includes(line));
    const message = document.querySelector("#list .message")?.dataset.message;
    const status = document.getElementById("status");
    if (status && message) {
      const changed = fresh.length ? `${fresh.length} of ${now.length} on your list are new` : "your list is the same";
      status.textContent = `${message}; ${changed}.`;
      status.classList.remove("old");
      clearTimeout(said);
      said = setTimeout(() => status.classList.add("old"), SEEN);
      document.querySelector("#list .message").dataset.message = "";
    }
    if (focused !== null && (document.activeElement === document.body || !document.activeElement)) {
      (now[Math.min(focused, now.length - 1)] ?? document.getElementById("list-title"))?.focus();
    }
    focused = null;
  });

  // ------------------------------------------------------------ waiting, and what went wrong
  let running = 0;
  const busy = (by) => {
    running = Math.max(0, running + by);
    document.documentElement.classList.toggle("busy", running > 0);
  };
  document.addEventListener("htmx:before:request", () => busy(1));
  document.addEventListener("htmx:finally:request", () => busy(-1));
  const alertBox = document.getElementById("alert");
  const fail = (text, target) => {
    const notice = document.createElement("p");
    notice.className = "notice error";
    notice.textContent = text;
    const again = document.createElement("button");
    again.type = "button";
    again.textContent = "Try again";
    again.addEventListener("click", () => location.reload());
    notice.append(again);
    alertBox.replaceChildren(notice);
    target?.querySelectorAll?.(".loading").forEach((loading) => loading.remove());
  };
  document.addEventListener("htmx:error", (event) => {
    fail("The server does not answer. What you see may be old; try again in a moment.", event.detail?.ctx?.target);
  });
  document.addEventListener("htmx:response:error", (event) => {
    const ctx = event.detail.ctx;
    let detail = "";
    try {
      detail = JSON.parse(ctx.text).detail;
    } catch {
      detail = `The server answered with status ${ctx.response.status}.`;
    }
    fail(`That did not work: ${detail}`, ctx.target);
  });
  document.addEventListener("htmx:after:swap", (event) => {
    if (event.detail?.ctx?.response?.status < 400) alertBox.replaceChildren();
  });

  // ------------------------------------------------------------ copying
  for (const button of navigator.clipboard ? document.querySelectorAll(".copy") : []) {
    button.hidden = false;
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(button.closest(".code").querySelector("code").textContent);
      button.firstChild.textContent = "Copied";
      setTimeout(() => (button.firstChild.textContent = "Copy"), 2000);
    });
  }

  // ------------------------------------------------------------ theme
  document.getElementById("theme")?.addEventListener("click", () => {
    const root = document.documentElement;
    const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
    document.cookie = `refeed_theme=${root.dataset.theme}; path=/; max-age=31536000; samesite=strict`;
  });
})();
