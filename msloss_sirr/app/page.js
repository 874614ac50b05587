// What the components do not say of themselves to whoever cannot see them, said here whenever they are drawn.
(() => {
  const KINDS = "image/*,.avif,.heic,.heif,.tif,.tiff,.webp";
  const put = (element, name, value) => {
    if (element && element.getAttribute(name) !== value) element.setAttribute(name, value);
  };
  const all = (selector) => [...document.querySelectorAll(selector)];
  const say = () => {
    const status = document.querySelector("#status");
    put(status, "role", "status");
    put(status, "aria-live", "polite");
    put(document.querySelector("#steps"), "aria-label", "Steps");
    put(document.querySelector("#photo input[type=file]"), "accept", KINDS);
    put(document.querySelector("#photo button.upload-container, #photo button[aria-dropeffect]"), "aria-label",
      "Photograph: choose a file, or drop one here");
    const both = document.querySelector("#both");
    put(both, "role", "group");
    put(both, "aria-label", "Before and after; the control Divider below moves the line between them");
    const told = status ? status.innerText.trim() : "";
    all("#both img").forEach((image, number) => put(image, "alt", (number ? "After: " : "Before: ") + told));
    all("#layer img").forEach((image) => put(image, "alt", "The reflection that is taken off, by itself"));
    all("#layer button").forEach((button) => put(button, "tabindex", "-1"));
  };
  new MutationObserver(say).observe(document, { childList: true, subtree: true });
  say();
})();
