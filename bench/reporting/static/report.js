"use strict";
(() => {
  // The theme: what the system says, until the reader says otherwise.
  const root = document.documentElement;
  const button = document.getElementById("theme");
  const themes = ["system", "light", "dark"];
  const remembered = () => { try { return localStorage.getItem("bench-theme"); } catch { return null; } };
  const remember = (theme) => { try { localStorage.setItem("bench-theme", theme); } catch { /* a file may have no storage */ } };
  const setTheme = (theme) => {
    root.style.colorScheme = theme === "system" ? "" : theme;
    button.textContent = `Theme: ${theme}`;
    button.dataset.theme = theme;
  };
  setTheme(themes.includes(remembered()) ? remembered() : "system");
  button.hidden = false;
  button.addEventListener("click", () => {
    const next = themes[(themes.indexOf(button.dataset.theme) + 1) % themes.length];
    setTheme(next);
    remember(next);
  });

  // The galleries: one slider moves the pictures of every variant.
  for (const gallery of document.querySelectorAll(".gallery")) {
    const stops = gallery.dataset.stops.split(",").map(Number);
    const slider = gallery.querySelector("input");
    const output = gallery.querySelector("output");
    const select = gallery.querySelector("select");
    const play = gallery.querySelector(".play");
    let timer = 0;

    const show = () => {
      const percent = stops[Number(slider.value)];
      output.textContent = `${percent} %`;
      slider.setAttribute("aria-valuetext", `${percent} % of training`);
      for (const grid of gallery.querySelectorAll(".grid")) {
        const films = [...grid.querySelectorAll("figure")];
        for (const film of films) film.hidden = Boolean(select) && film.dataset.seed !== select.value;
        grid.querySelector(".none").hidden = films.some((film) => !film.hidden);
        for (const film of films) if (!film.hidden) showAt(film, percent);
      }
    };
    const showAt = (film, percent) => {
      const pictures = [...film.querySelectorAll("img")];
      const past = pictures.filter((picture) => Number(picture.dataset.at) <= percent);
      const shown = past.at(-1) ?? pictures[0];
      for (const picture of pictures) picture.hidden = picture !== shown;
      film.querySelector(".step").textContent = shown.dataset.step;
    };
    const stop = () => {
      clearInterval(timer);
      timer = 0;
      play.textContent = "▶ Play";
      play.setAttribute("aria-pressed", "false");
    };
    const advance = () => {
      if (Number(slider.value) >= stops.length - 1) return stop();
      slider.value = Number(slider.value) + 1;
      show();
    };

    play.addEventListener("click", () => {
      if (timer) return stop();
      if (Number(slider.value) >= stops.length - 1) slider.value = 0;
      show();
      play.textContent = "❚❚ Pause";
      play.setAttribute("aria-pressed", "true");
      timer = setInterval(advance, 700);
    });
    slider.addEventListener("input", () => { stop(); show(); });
    if (select) select.addEventListener("change", show);
    gallery.querySelector(".controls").hidden = false;
    show();
  }
})();
