// While the browser downloads an export, the page shows how far it is. (htmx would take the click for itself.)
document.addEventListener("click", (event) => {
  const link = event.target.closest("a[data-export]");
  // Without https there are no ids, and a plain download.
  if (!link || !window.crypto.randomUUID) return;
  const plain = link.href;
  const id = window.crypto.randomUUID();
  link.href = `${plain}&export=${id}`;
  setTimeout(() => {
    link.href = plain;
  });
  const progress = document.createElement("div");
  document.getElementById("exports").append(progress);
  window.htmx.ajax("GET", `${link.dataset.export}${id}/`, { target: progress, swap: "innerHTML" });
});
